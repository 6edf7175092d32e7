// Causal attention in one pass over the keys with running row maxima [FlashAttention-2], in f32
// (f64). The backward has one pass over the keys for dq and one over the queries for dk and dv: no
// sums meet, and two runs give equal bits. Heads of up to 128 channels; narrower ones than the
// template's are filled up with 0.
#include "kernels/attention.hpp"

#include <cmath>
#include <limits>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using namespace cuda::attention;

// The softmax of a thread's queries so far.
template <typename T, int R>
struct Running {
  T largest[R], sum[R];
};

// One tile of scores: weights e^{s - m} into p, what was summed before corrected by e^{m' - m}.
template <typename T, int Size, int C>
__device__ void soften(T (&s)[Size / side][Size / side], const Tile<T, Size, Size>& p,
                       Running<T, Size / side>& running, T (&y)[Size / side][C], const Place& place,
                       std::int64_t first_visible, T scale,
                       const std::int64_t (&begin)[Size / side], std::int64_t key) {
  constexpr int R = Size / side;
  for (int i = 0; i < R; ++i) {
    const int row = place.row + side * i;
    const std::int64_t visible = first_visible + row;  // keys of the tile that the query sees
    const auto is_seen = [&](int j) {
      const std::int64_t column = place.column + side * j;
      return column < visible && key + column >= begin[i];
    };
    T largest = running.largest[i];
    for (int j = 0; j < R; ++j) {
      s[i][j] *= scale;
      if (is_seen(j) && !(s[i][j] <= largest)) largest = s[i][j];
    }
    largest = row_largest(largest);
    T sum = 0;
    for (int j = 0; j < R; ++j) {
      const T weight = is_seen(j) ? std::exp(s[i][j] - largest) : T(0);
      sum += weight;
      p(row, place.column + side * j) = weight;
    }
    const T correction = std::exp(running.largest[i] - largest);
    running.largest[i] = largest;
    running.sum[i] = running.sum[i] * correction + row_sum(sum);
    for (int c = 0; c < C; ++c) y[i][c] *= correction;
  }
}

// One block per tile of queries of a head.
template <typename S, typename T, int N>
__global__ void attention_forward(ForwardOperands<S, T> op, std::int64_t tiles) {
  constexpr int Size = tile_of<T, N>, R = Size / side, C = N / side;
  const Place place(tiles, op.q.H, true);
  const Head<const S> q = op.q.of(place.b, place.h), k = op.k.of(place.b, place.h),
                      v = op.v.of(place.b, place.h);
  T* shared = cuda::dynamic_shared<T>();
  const Tile<T, Size, N> queries{shared}, keys{shared + queries.size};  // keys, then values
  const Tile<T, Size, Size> p{shared + 2 * queries.size};
  const std::int64_t first = place.tile * Size, offset = k.rows - q.rows;
  load<S, T>(queries, q, first);
  T y[R][C] = {};
  Running<T, R> running{};
  std::int64_t begin[R];
  for (int i = 0; i < R; ++i) {
    running.largest[i] = std::numeric_limits<T>::lowest();
    begin[i] = first_key(op.first, place.b, q.rows, first + place.row + side * i);
  }
  const std::int64_t last = first + Size < q.rows ? first + Size : q.rows;
  const std::int64_t first_tile = first_key(op.first, place.b, q.rows, first) / Size * Size;
  for (std::int64_t key = first_tile; key < last + offset; key += Size) {
    __syncthreads();  // the values of the tile before have been read
    load<S, T>(keys, k, key);
    __syncthreads();
    T s[R][R] = {};
    add_dots<T, Size, N>(s, queries, keys, place);
    soften<T, Size, C>(s, p, running, y, place, first + offset + 1 - key, op.scale, begin, key);
    __syncthreads();
    load<S, T>(keys, v, key);
    __syncthreads();
    add_products<false, T, Size, N>(y, p, keys, place);
  }
  const Head<S> to = op.y.of(place.b, place.h);
  for (int i = 0; i < R; ++i) {
    const std::int64_t t = first + place.row + side * i;
    if (t >= q.rows) continue;
    for (int c = 0; c < C; ++c)
      if (place.column + side * c < to.width)
        to.at(t, place.column + side * c) = cuda::stored<S>(y[i][c] / running.sum[i]);
    if (place.column == 0)
      op.lse[(place.b * op.q.H + place.h) * q.rows + t] =
          running.largest[i] + std::log(running.sum[i]);
  }
}

// delta_i = dy_i y_i, lse_i and the first key of a tile's queries, for every thread of the query's
// row of the square.
template <typename T, int R>
struct Statistics {
  T delta[R], lse[R];
  std::int64_t begin[R];
};

template <typename S, typename T, int R>
__device__ Statistics<T, R> statistics(const BackwardOperands<S, T>& op, const Place& place,
                                       std::int64_t first) {
  const Head<const S> dy = op.dy.of(place.b, place.h), y = op.y.of(place.b, place.h);
  const T* lse = op.lse + (place.b * op.q.H + place.h) * y.rows;
  Statistics<T, R> result;
  for (int i = 0; i < R; ++i) {
    const std::int64_t t = first + place.row + side * i;
    T sum = 0;
    if (t < y.rows)
      for (int n = place.column; n < y.width; n += side) sum += T(dy.at(t, n)) * T(y.at(t, n));
    result.delta[i] = row_sum(sum);
    result.lse[i] = t < y.rows ? lse[t] : T(0);
    result.begin[i] = first_key(op.first, place.b, y.rows, t);
  }
  return result;
}

// s -> p = e^{scale s - lse};   dp -> ds = p (dp - delta);   both 0 where the query does not see
// the key
template <typename T, int R>
__device__ void differentiate(T (&s)[R][R], T (&dp)[R][R], const Statistics<T, R>& statistics,
                              const Place& place, std::int64_t query, std::int64_t key,
                              std::int64_t rows, T scale) {
  for (int i = 0; i < R; ++i) {
    const std::int64_t t = query + place.row + side * i;
    for (int j = 0; j < R; ++j) {
      const std::int64_t column = key + place.column + side * j;
      const bool sees = t < rows && column <= t && column >= statistics.begin[i];
      s[i][j] = sees ? std::exp(scale * s[i][j] - statistics.lse[i]) : T(0);
      dp[i][j] = sees ? s[i][j] * (dp[i][j] - statistics.delta[i]) : T(0);
    }
  }
}

template <typename T, int Size>
__device__ void put(const Tile<T, Size, Size>& to, const T (&from)[Size / side][Size / side],
                    const Place& place) {
  for (int i = 0; i < Size / side; ++i)
    for (int j = 0; j < Size / side; ++j)
      to(place.row + side * i, place.column + side * j) = from[i][j];
}

// Rows [first, ...) of a gradient += factor sums
template <typename S, typename T, int R, int C>
__device__ void add_rows(const Head<S>& to, const T (&sums)[R][C], std::int64_t first,
                         const Place& place, T factor, bool fresh) {
  for (int i = 0; i < R; ++i)
    for (int c = 0; c < C; ++c) {
      const std::int64_t row = first + place.row + side * i;
      const int column = place.column + side * c;
      if (row < to.rows && column < to.width)
        cuda::add_to(to.at(row, column), factor * sums[i][c], fresh);
    }
}

// What a block of the backward holds in shared memory: a tile of queries and one of keys.
template <typename T, int N>
struct BackwardTiles {
  static constexpr int Size = tile_of<T, N>, R = Size / side;
  Tile<T, Size, N> q, dy, k, v;
  Tile<T, Size, Size> weights;  // p or ds

  __device__ explicit BackwardTiles(T* shared)
      : q{shared},
        dy{q.data + q.size},
        k{dy.data + q.size},
        v{k.data + q.size},
        weights{v.data + q.size} {}

  template <typename S>
  __device__ void load_queries(const BackwardOperands<S, T>& op, const Place& place,
                               std::int64_t first) const {
    load<S, T>(q, op.q.of(place.b, place.h), first);
    load<S, T>(dy, op.dy.of(place.b, place.h), first);
  }
  template <typename S>
  __device__ void load_keys(const BackwardOperands<S, T>& op, const Place& place,
                            std::int64_t first) const {
    load<S, T>(k, op.k.of(place.b, place.h), first);
    load<S, T>(v, op.v.of(place.b, place.h), first);
  }
  // p and ds of the queries from `query` on with the keys from `key` on
  __device__ void weigh(T (&p)[R][R], T (&ds)[R][R], const Statistics<T, R>& of_rows,
                        const Place& place, std::int64_t query, std::int64_t key, std::int64_t rows,
                        T scale) const {
    add_dots<T, Size, N>(p, q, k, place);
    add_dots<T, Size, N>(ds, dy, v, place);
    differentiate(p, ds, of_rows, place, query, key, rows, scale);
  }
};

// One block per tile of queries of a head, over the keys that they see:
//   dq = scale sum_j ds_ij k_j
template <typename S, typename T, int N>
__global__ void attention_backward_queries(BackwardOperands<S, T> op, std::int64_t tiles) {
  constexpr int Size = tile_of<T, N>, R = Size / side, C = N / side;
  const Place place(tiles, op.q.H, true);
  const BackwardTiles<T, N> tile(cuda::dynamic_shared<T>());
  const std::int64_t first = place.tile * Size, rows = op.q.rows;
  tile.load_queries(op, place, first);
  const Statistics<T, R> of_rows = statistics<S, T, R>(op, place, first);
  T dq[R][C] = {};
  const std::int64_t first_tile = first_key(op.first, place.b, rows, first) / Size * Size;
  for (std::int64_t key = first_tile; key <= first; key += Size) {
    __syncthreads();  // the tile before has been read
    tile.load_keys(op, place, key);
    __syncthreads();
    T p[R][R] = {}, ds[R][R] = {};
    tile.weigh(p, ds, of_rows, place, first, key, rows, op.scale);
    put<T, Size>(tile.weights, ds, place);
    __syncthreads();
    add_products<false, T, Size, N>(dq, tile.weights, tile.k, place);
  }
  add_rows(op.dq.of(place.b, place.h), dq, first, place, op.scale, op.fresh_q);
}

// One block per tile of keys of a head, over the queries that see them:
//   dv_j = sum_i p_ij dy_i;   dk_j = scale sum_i ds_ij q_i
template <typename S, typename T, int N>
__global__ void attention_backward_keys(BackwardOperands<S, T> op, std::int64_t tiles) {
  constexpr int Size = tile_of<T, N>, R = Size / side, C = N / side;
  const Place place(tiles, op.q.H, false);
  const BackwardTiles<T, N> tile(cuda::dynamic_shared<T>());
  const std::int64_t first = place.tile * Size, rows = op.q.rows;
  tile.load_keys(op, place, first);
  T dk[R][C] = {}, dv[R][C] = {};
  for (std::int64_t query = first; query < rows; query += Size) {
    // Nor do later ones see it.
    if (first_key(op.first, place.b, rows, query) >= first + Size) break;
    __syncthreads();  // the tile before has been read
    tile.load_queries(op, place, query);
    const Statistics<T, R> of_rows = statistics<S, T, R>(op, place, query);
    __syncthreads();
    T p[R][R] = {}, ds[R][R] = {};
    tile.weigh(p, ds, of_rows, place, query, first, rows, op.scale);
    put<T, Size>(tile.weights, p, place);
    __syncthreads();
    add_products<true, T, Size, N>(dv, tile.weights, tile.dy, place);
    __syncthreads();
    put<T, Size>(tile.weights, ds, place);
    __syncthreads();
    add_products<true, T, Size, N>(dk, tile.weights, tile.q, place);
  }
  add_rows(op.dk.of(place.b, place.h), dk, first, place, op.scale, op.fresh_k);
  add_rows(op.dv.of(place.b, place.h), dv, first, place, T(1), op.fresh_v);
}

template <typename T, int N>
cuda::Grid grid_of(std::int64_t tiles, const Tensor& q, int wide_tiles) {
  constexpr int Size = tile_of<T, N>;
  const int elements = wide_tiles * Tile<T, Size, N>::size + Tile<T, Size, Size>::size;
  return {.blocks = cuda::groups(tiles * q.shape[0] * q.shape[2], 1),
          .threads = threads,
          .shared_bytes = std::size_t(elements) * sizeof(T)};
}

}  // namespace

void AttentionForward::on(CudaQueue& queue) const {
  if (cuda::run_by_cudnn(*this, queue) || cuda::run_on_tensor_cores(*this, queue)) return;
  cuda::with_storage(q.dtype, [&]<typename S, typename T>() {
    with_head_size(q.shape[3], [&]<int N>() {
      const std::int64_t tiles = (q.shape[1] + tile_of<T, N> - 1) / tile_of<T, N>;
      cuda::launch("attention_forward", attention_forward<S, T, N>, grid_of<T, N>(tiles, q, 2),
                   queue.stream, operands_of<S, T>(*this), tiles);
    });
  });
}

void AttentionBackward::on(CudaQueue& queue) const {
  if (cuda::run_by_cudnn(*this, queue) || cuda::run_on_tensor_cores(*this, queue)) return;
  cuda::with_storage(q.dtype, [&]<typename S, typename T>() {
    with_head_size(q.shape[3], [&]<int N>() {
      const std::int64_t tiles = (q.shape[1] + tile_of<T, N> - 1) / tile_of<T, N>;
      const auto operands = operands_of<S, T>(*this);
      const cuda::Grid grid = grid_of<T, N>(tiles, q, 4);
      cuda::launch("attention_backward_queries", attention_backward_queries<S, T, N>, grid,
                   queue.stream, operands, tiles);
      cuda::launch("attention_backward_keys", attention_backward_keys<S, T, N>, grid, queue.stream,
                   operands, tiles);
    });
  });
}

}  // namespace metascale
