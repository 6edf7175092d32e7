// Causal attention on tensor cores, for activations in bf16 [FlashAttention-2]: tiles of 64 queries
// or keys, 16 to a warp; keys stream through shared memory, two tiles in turn, past running row
// maxima. Operands of products are bf16, sums, the softmax and its statistics f32. The backward has
// one pass over the keys for dq and one over the queries for dk and dv: no sums meet, and two runs
// give equal bits. Heads of up to 128 channels; narrower ones than the template's are filled up
// with 0.
#include <cmath>
#include <limits>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/attention_operands.cuh"
#include "kernels/cuda/context.hpp"
#include "kernels/cuda/exponential.cuh"
#include "kernels/cuda/head_sum.cuh"
#include "kernels/cuda/pieces.cuh"

namespace metascale::cuda {
namespace attention {
namespace {

using Forward = ForwardOperands<bfloat16, float>;
using Backward = BackwardOperands<bfloat16, float>;

constexpr int warps = 4, threads = warps * warp_size;
constexpr int own = 16, tile_rows = warps * own;  // of a warp, of a block

template <int N>
inline constexpr int pitch = N + 8;  // elements: rows of a fragment lie in other banks

// What is streamed past a block's tile: fewer rows where heads fill the registers.
template <int N>
inline constexpr int streamed_of = N > 64 ? 32 : 64;

template <int Rows, int N>
struct alignas(16) Rectangle {
  bfloat16 data[Rows * pitch<N>];

  __device__ bfloat16* at(int row, int column) { return data + row * pitch<N> + column; }
  // Asks for the rows of a head from `first` on; 0 where there are none.
  __device__ void fetch(const Head<const bfloat16>& from, std::int64_t first) {
    constexpr int packs = N / pack_width;
#pragma unroll
    for (int i = int(threadIdx.x); i < Rows * packs; i += threads) {
      const int row = i / packs, column = i % packs * pack_width;
      const bool exists = first + row < from.rows && column < from.width;
      copy_async(at(row, column), exists ? &from.at(first + row, column) : from.data,
                 exists ? 16 : 0);
    }
  }
};

// sums (own rows, Columns) += a (own rows, N) b (Columns, N)^T
template <int Columns, int N, int Rows>
__device__ void add_dots(Square (&sums)[Columns / 16], bfloat16* a, Rectangle<Rows, N>& b) {
#pragma unroll
  for (int n = 0; n < N; n += 16) {
    const FragmentA of_rows = left(a + n, pitch<N>);
#pragma unroll
    for (int j = 0; j < Columns / 16; ++j)
      multiply_add(sums[j], of_rows, right_transposed(b.at(16 * j, n), pitch<N>));
  }
}

// sums (own rows, N) += weights (own rows, Columns) values (Columns, N)
template <int Columns, int N, int Rows>
__device__ void add_products(Square (&sums)[N / 16], const Square (&weights)[Columns / 16],
                             Rectangle<Rows, N>& values) {
#pragma unroll
  for (int j = 0; j < Columns / 16; ++j) {
    const FragmentA of_rows = as_left(weights[j]);
#pragma unroll
    for (int n = 0; n < N / 16; ++n)
      multiply_add(sums[n], of_rows, right(values.at(16 * j, 16 * n), pitch<N>));
  }
}

// body(half, column, element) for the calling lane's elements of a warp's rows: of its row in the
// first or the second eight.
template <int Pieces, typename Body>
__device__ void each_element(Square (&of)[Pieces], Body&& body) {
#pragma unroll
  for (int j = 0; j < Pieces; ++j)
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) body(i / 2, 16 * j + column_of(n, i), of[j].n[n].x[i]);
}

// The tile `now` of keys and values, from `key` on, is there behind this; the next one is asked
// for.
template <int Keys, typename Shared>
__device__ void take_keys(Shared& shared, const Head<const bfloat16>& k,
                          const Head<const bfloat16>& v, std::int64_t key, std::int64_t end,
                          int now) {
  wait_for_copies<0>();
  __syncthreads();  // the tile before has been read, too
  if (key + Keys < end) {
    shared.k[now ^ 1].fetch(k, key + Keys);
    shared.v[now ^ 1].fetch(v, key + Keys);
  }
  commit_copies();
}

// Of the four lanes that share a row.
__device__ inline float row_sum(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}
__device__ inline float row_largest(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

// The warp's rows, times `factor`, of a gradient or a result from row `first` on. tile: the warp's
// own rows of shared memory, which has been read.
template <int N>
__device__ void store_rows(const Head<bfloat16>& to, std::int64_t first, Square (&rows)[N / 16],
                           float factor, bool fresh, bfloat16* tile) {
#pragma unroll
  for (int j = 0; j < N / 16; ++j)
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int i = 0; i < 4; i += 2) {
        const float *x = rows[j].n[n].x + i, one = factor * x[0], next = factor * x[1];
        const int row = row_of(i), column = 16 * j + column_of(n, 0);
        if (fresh)
          store_pair(tile + row * pitch<N> + column, one, next);
        else if (first + row < to.rows && column < to.width)
          add_pair_to(&to.at(first + row, column), one, next, false);
      }
  if (!fresh) return;
  __syncwarp();
  constexpr int packs = N / pack_width;
#pragma unroll
  for (int i = lane(); i < own * packs; i += warp_size) {
    const int row = i / packs, column = i % packs * pack_width;
    if (first + row < to.rows && column < to.width)
      *reinterpret_cast<float4*>(&to.at(first + row, column)) =
          *reinterpret_cast<const float4*>(tile + row * pitch<N> + column);
  }
}

// Finite, and so are its products with a scale: of a row that has seen no key yet.
constexpr float below_all_scores = -1e30f;

template <int N>
struct ForwardShared {
  Rectangle<tile_rows, N> q;
  Rectangle<streamed_of<N>, N> k[2], v[2];
};

// The softmax of the lane's two rows so far: the largest score, and of the lane's own columns the
// sum of e^{scale (s - largest)}.
struct Running {
  float largest[2], sum[2] = {};
};

// Scores become weights; what was summed before is corrected by e^{scale (m' - m)}. scale counts in
// powers of two. sees(half, column): of the lane's two rows.
template <int Columns, int N, typename Sees>
__device__ void soften(Square (&s)[Columns / 16], Running& running, Square (&y)[N / 16],
                       float scale, Sees&& sees) {
  float largest[2] = {running.largest[0], running.largest[1]}, correction[2], shift[2];
  each_element(s, [&](int half, int column, float& x) {
    if (!sees(half, column)) x = -std::numeric_limits<float>::infinity();
    largest[half] = fmaxf(largest[half], x);
  });
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    largest[half] = row_largest(largest[half]);
    correction[half] = power_of_two(scale * (running.largest[half] - largest[half]));
    shift[half] = -scale * largest[half];
    running.largest[half] = largest[half];
    running.sum[half] *= correction[half];
  }
  each_element(s, [&](int half, int, float& x) {
    x = power_of_two(scale * x + shift[half]);
    running.sum[half] += x;
  });
  each_element(y, [&](int half, int, float& x) { x *= correction[half]; });
}

// The keys that the lane's two queries see, counted from the first of a tile of keys.
struct Seen {
  int begin[2], behind[2];

  __device__ Seen(const std::int64_t (&begins)[2], std::int64_t first_behind, std::int64_t key) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      begin[half] = int(begins[half] - key);
      behind[half] = int(first_behind - key) + group() + 8 * half;
    }
  }
  __device__ bool operator()(int half, int column) const {
    return column >= begin[half] && column < behind[half];
  }
};

// One block per tile of queries of a head.
template <int N>
__global__ void __launch_bounds__(threads)
    attention_forward_on_tensor_cores(Forward op, std::int64_t tiles) {
  constexpr int Keys = streamed_of<N>;
  auto& shared = *dynamic_shared<ForwardShared<N>>();
  const HeadTile place(tiles, op.q.H, true);
  const Head<const bfloat16> q = op.q.of(place.b, place.h), k = op.k.of(place.b, place.h),
                             v = op.v.of(place.b, place.h);
  const std::int64_t first = place.tile * tile_rows, offset = k.rows - q.rows;
  const std::int64_t end = (first + tile_rows < q.rows ? first + tile_rows : q.rows) + offset;
  std::int64_t key = first_key(op.first, place.b, q.rows, first) / Keys * Keys;
  shared.q.fetch(q, first);
  shared.k[0].fetch(k, key);
  shared.v[0].fetch(v, key);
  commit_copies();
  const std::int64_t own_first = first + warp() * own;
  std::int64_t begin[2];
#pragma unroll
  for (int half = 0; half < 2; ++half)
    begin[half] = first_key(op.first, place.b, q.rows, own_first + group() + 8 * half);
  Square y[N / 16];
  Running running;
  running.largest[0] = running.largest[1] = below_all_scores;
  const float scale = op.scale * log2_e;
  bfloat16* own_rows = shared.q.at(warp() * own, 0);
#pragma unroll 1
  for (int now = 0; key < end; key += Keys, now ^= 1) {
    take_keys<Keys>(shared, k, v, key, end, now);
    Square s[Keys / 16];
    add_dots<Keys, N>(s, own_rows, shared.k[now]);
    if (op.first == nullptr && key + Keys <= own_first + offset + 1)
      soften<Keys, N>(s, running, y, scale, [](int, int) { return true; });
    else
      soften<Keys, N>(s, running, y, scale, Seen(begin, own_first + offset + 1, key));
    add_products<Keys, N>(y, s, shared.v[now]);
  }
  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = row_sum(running.sum[half]);
    const std::int64_t t = own_first + group() + 8 * half;
    inverse[half] = 1 / sum;
    if (quarter() == 0 && t < q.rows)
      op.lse[(place.b * op.q.H + place.h) * q.rows + t] =
          running.largest[half] * op.scale + std::log(sum);
  }
  each_element(y, [&](int half, int, float& x) { x *= inverse[half]; });
  store_rows<N>(op.y.of(place.b, place.h), own_first, y, 1, true, own_rows);
}

// delta_i = dy_i y_i (B, H, T), of one head of a row by a warp.
struct Deltas {
  float* delta;
  Heads<const bfloat16> dy, y;

  __device__ void operator()(std::int64_t row, std::int64_t h) const {
    const std::int64_t b = row / y.rows, t = row % y.rows;
    const Head<const bfloat16> above = dy.of(b, h), result = y.of(b, h);
    float sum = 0;
    for (int n = 2 * lane(); n < y.width; n += 2 * warp_size) {
      const float2 one = load_pair(&above.at(t, n)), other = load_pair(&result.at(t, n));
      sum += one.x * other.x + one.y * other.y;
    }
    sum = warp_sum(sum);
    if (lane() == 0) delta[(b * y.H + h) * y.rows + t] = sum;
  }
};

// Scores s become weights p = 2^{scale s - lse}, and dp becomes ds = p (dp - delta). row(half,
// column): lse and delta of the query; sees(half, column): whether it sees the key.
template <int Pieces, typename Row, typename Sees>
__device__ void differentiate(Square (&s)[Pieces], Square (&dp)[Pieces], float scale, Row&& row,
                              Sees&& sees) {
#pragma unroll
  for (int j = 0; j < Pieces; ++j)
#pragma unroll
    for (int n = 0; n < 2; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int half = i / 2, column = 16 * j + column_of(n, i);
        const auto [lse, delta] = row(half, column);
        float &x = s[j].n[n].x[i], &dx = dp[j].n[n].x[i];
        x = sees(half, column) ? power_of_two(scale * x - lse) : 0;
        dx = x * (dx - delta);
      }
}

// lse and delta where there is no query: its weights are 0.
constexpr float2 no_query{std::numeric_limits<float>::infinity(), 0};

template <int N>
struct QueriesShared {
  Rectangle<tile_rows, N> q, dy;
  Rectangle<streamed_of<N>, N> k[2], v[2];
};

// One block per tile of queries of a head, over the keys that they see:
//   dq = scale sum_j ds_ij k_j
template <int N>
__global__ void __launch_bounds__(threads)
    attention_dq_on_tensor_cores(Backward op, const float* deltas, std::int64_t tiles) {
  constexpr int Keys = streamed_of<N>;
  auto& shared = *dynamic_shared<QueriesShared<N>>();
  const HeadTile place(tiles, op.q.H, true);
  const Head<const bfloat16> k = op.k.of(place.b, place.h), v = op.v.of(place.b, place.h);
  const std::int64_t rows = op.q.rows, first = place.tile * tile_rows;
  const std::int64_t end = first + tile_rows < rows ? first + tile_rows : rows;
  std::int64_t key = first_key(op.first, place.b, rows, first) / Keys * Keys;
  shared.q.fetch(op.q.of(place.b, place.h), first);
  shared.dy.fetch(op.dy.of(place.b, place.h), first);
  shared.k[0].fetch(k, key);
  shared.v[0].fetch(v, key);
  commit_copies();
  const std::int64_t own_first = first + warp() * own;
  const std::int64_t statistics = (place.b * op.q.H + place.h) * rows;
  std::int64_t begin[2];
  float2 of_row[2];  // lse in powers of two, and delta
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const std::int64_t t = own_first + group() + 8 * half;
    begin[half] = first_key(op.first, place.b, rows, t);
    of_row[half] =
        t < rows ? make_float2(op.lse[statistics + t] * log2_e, deltas[statistics + t]) : no_query;
  }
  const auto row = [&](int half, int) { return of_row[half]; };
  Square dq[N / 16];
  const float scale = op.scale * log2_e;
  bfloat16 *own_q = shared.q.at(warp() * own, 0), *own_dy = shared.dy.at(warp() * own, 0);
#pragma unroll 1
  for (int now = 0; key < end; key += Keys, now ^= 1) {
    take_keys<Keys>(shared, k, v, key, end, now);
    Square p[Keys / 16], ds[Keys / 16];
    add_dots<Keys, N>(p, own_q, shared.k[now]);
    add_dots<Keys, N>(ds, own_dy, shared.v[now]);
    if (op.first == nullptr && key + Keys <= own_first + 1)
      differentiate(p, ds, scale, row, [](int, int) { return true; });
    else
      differentiate(p, ds, scale, row, Seen(begin, own_first + 1, key));
    add_products<Keys, N>(dq, ds, shared.k[now]);
  }
  store_rows<N>(op.dq.of(place.b, place.h), own_first, dq, op.scale, op.fresh_q, own_q);
}

template <int N>
struct KeysShared {
  Rectangle<tile_rows, N> k, v;
  Rectangle<streamed_of<N>, N> q[2], dy[2];
  float2 of_query[2][streamed_of<N>];  // lse in powers of two, and delta
  std::int64_t begin[2][streamed_of<N>];
};

// One block per tile of keys of a head, over the queries that see them; a warp has the transposed
// scores of its own keys:
//   dv_j = sum_i p_ij dy_i;   dk_j = scale sum_i ds_ij q_i
template <int N>
struct KeyScan {
  static constexpr int Queries = streamed_of<N>;
  const Backward& op;
  const float* deltas;
  KeysShared<N>& shared;
  HeadTile place;

  __device__ void fetch(int to, std::int64_t query) const {
    shared.q[to].fetch(op.q.of(place.b, place.h), query);
    shared.dy[to].fetch(op.dy.of(place.b, place.h), query);
    commit_copies();
    const std::int64_t rows = op.q.rows, at = (place.b * op.q.H + place.h) * rows;
    for (int i = int(threadIdx.x); i < Queries; i += threads) {
      const std::int64_t t = query + i;
      shared.of_query[to][i] =
          t < rows ? make_float2(op.lse[at + t] * log2_e, deltas[at + t]) : no_query;
      shared.begin[to][i] = first_key(op.first, place.b, rows, t);
    }
  }
  // Whether a tile of queries sees any of the block's keys; nor do later ones, if not.
  __device__ bool sees(std::int64_t query, std::int64_t first) const {
    return query < op.q.rows && first_key(op.first, place.b, op.q.rows, query) < first + tile_rows;
  }

  __device__ void run() const {
    const std::int64_t first = place.tile * tile_rows, own_first = first + warp() * own;
    const float scale = op.scale * log2_e;
    bfloat16 *own_k = shared.k.at(warp() * own, 0), *own_v = shared.v.at(warp() * own, 0);
    Square dk[N / 16], dv[N / 16];
    shared.k.fetch(op.k.of(place.b, place.h), first);
    shared.v.fetch(op.v.of(place.b, place.h), first);
    fetch(0, first);
    std::int64_t query = first;
#pragma unroll 1
    for (int now = 0; sees(query, first); query += Queries, now ^= 1) {
      wait_for_copies<0>();
      __syncthreads();  // the tile is there, and the one before has been read
      if (sees(query + Queries, first)) fetch(now ^ 1, query + Queries);
      Square p[Queries / 16], ds[Queries / 16];  // (own keys, queries)
      add_dots<Queries, N>(p, own_k, shared.q[now]);
      add_dots<Queries, N>(ds, own_v, shared.dy[now]);
      const auto row = [&](int, int column) { return shared.of_query[now][column]; };
      if (op.first == nullptr && own_first + own <= query + 1)
        differentiate(p, ds, scale, row, [](int, int) { return true; });
      else
        differentiate(p, ds, scale, row, [&](int half, int column) {
          const std::int64_t key = own_first + group() + 8 * half;
          return key <= query + column && key >= shared.begin[now][column];
        });
      add_products<Queries, N>(dv, p, shared.dy[now]);
      add_products<Queries, N>(dk, ds, shared.q[now]);
    }
    wait_for_copies<0>();
    store_rows<N>(op.dk.of(place.b, place.h), own_first, dk, op.scale, op.fresh_k, own_k);
    store_rows<N>(op.dv.of(place.b, place.h), own_first, dv, 1, op.fresh_v, own_v);
  }
};

template <int N>
__global__ void __launch_bounds__(threads)
    attention_dk_dv_on_tensor_cores(Backward op, const float* deltas, std::int64_t tiles) {
  KeyScan<N>{op, deltas, *dynamic_shared<KeysShared<N>>(), HeadTile(tiles, op.q.H, false)}.run();
}

template <typename Op>
bool is_takable(const Op& op) {
  bool takable = op.q.shape[3] % pack_width == 0 && op.q.size() > 0;
  Op::operands(op, [&](const char* field, const Tensor& tensor, Use) {
    if (!tensor.exists() || field == std::string_view("lse") || field == std::string_view("first"))
      return;
    takable = takable && tensor.dtype == Dtype::bf16 && are_aligned(tensor);
  });
  return takable;
}

std::int64_t tiles_of(const Tensor& q) { return (q.shape[1] + tile_rows - 1) / tile_rows; }

template <typename Shared>
Grid grid_of(const Tensor& q) {
  return {.blocks = groups(tiles_of(q) * q.shape[0] * q.shape[2], 1),
          .threads = threads,
          .shared_bytes = sizeof(Shared)};
}

}  // namespace
}  // namespace attention

using namespace attention;

bool run_on_tensor_cores(const AttentionForward& op, CudaQueue& queue) {
  if (!is_takable(op)) return false;
  with_head_size(op.q.shape[3], [&]<int N>() {
    launch("attention_forward_on_tensor_cores", attention_forward_on_tensor_cores<N>,
           grid_of<ForwardShared<N>>(op.q), queue.stream, operands_of<bfloat16, float>(op),
           tiles_of(op.q));
  });
  return true;
}

bool run_on_tensor_cores(const AttentionBackward& op, CudaQueue& queue) {
  if (!is_takable(op)) return false;
  const std::int64_t heads = op.q.shape[2], rows = op.q.shape[0] * op.q.shape[1];
  auto* deltas = reinterpret_cast<float*>(
      context_of(queue).scratch(std::size_t(rows * heads) * sizeof(float)));
  launch_heads("attention_deltas", queue.stream, rows, heads,
               Deltas{deltas, Heads<const bfloat16>(op.dy), Heads<const bfloat16>(op.y)});
  with_head_size(op.q.shape[3], [&]<int N>() {
    const auto operands = operands_of<bfloat16, float>(op);
    launch("attention_dq_on_tensor_cores", attention_dq_on_tensor_cores<N>,
           grid_of<QueriesShared<N>>(op.q), queue.stream, operands, deltas, tiles_of(op.q));
    launch("attention_dk_dv_on_tensor_cores", attention_dk_dv_on_tensor_cores<N>,
           grid_of<KeysShared<N>>(op.q), queue.stream, operands, deltas, tiles_of(op.q));
  });
  return true;
}

}  // namespace metascale::cuda
