// The reverse scan of WKV7 over both read-outs. States are rebuilt forward from checkpoints, never
// by dividing by w: within a chunk of 16 tokens the states every 4 tokens are kept in shared memory
// (for heads of more than 64 channels, where they do not fit, none), and the state before a token
// is made anew from the last of them.
#include "kernels/cuda/wkv7_chunk.cuh"
#include "kernels/cuda/wkv7_chunked.hpp"
#include "kernels/cuda/wkv7_operands.cuh"

namespace metascale {
namespace {

using cuda::BackwardOperands;
using cuda::chunk;
using cuda::Tile;

// Sums over the rows of the state, one per key channel.
enum Sum { of_r, of_w, of_k, of_b, of_a, sums_of_token };

// Shared memory of a block, in elements.
template <int P>
struct Layout {
  static constexpr int group = P == 128 ? chunk : 4;        // tokens between states kept
  static constexpr int sum_tokens = P == 128 ? 1 : 4;       // whose sums are finished together
  static constexpr int kept = (chunk / group - 1) * P * P;  // states
  static constexpr int vector = chunk * P;
  static constexpr int warps = Tile<float, P>::warps;
  static constexpr int partial = warps * sum_tokens * sums_of_token * P;
  static constexpr int du = 2 * P;        // of a token and the next
  static constexpr int dots = 2 * chunk;  // <u, dy>, <v, dy>

  static constexpr std::size_t elements(bool reads_twice) {
    return std::size_t((reads_twice ? 11 : 9) * vector + kept + partial + du + dots);
  }
};

template <typename S, typename T, int P>
struct ReverseScan {
  using State = Tile<T, P>;
  using Shared = Layout<P>;
  const BackwardOperands<S, T>& op;
  T *r, *w, *k, *v, *a, *b, *u, *dy, *dv, *kept, *partial, *du, *dots, *q, *de;
  bool reads_twice;
  std::int64_t at, query_at;  // of the chunk's first token
  const T* checkpoint;
  int count, N;
  State before, G;

  __device__ explicit ReverseScan(const BackwardOperands<S, T>& op) : op(op), N(op.extent.N) {
    T* next = cuda::dynamic_shared<T>();
    const auto take = [&](int elements) {
      T* result = next;
      next += elements;
      return result;
    };
    r = take(Shared::vector), w = take(Shared::vector), k = take(Shared::vector);
    v = take(Shared::vector), a = take(Shared::vector), b = take(Shared::vector);
    u = take(Shared::vector), dy = take(Shared::vector), dv = take(Shared::vector);
    kept = take(Shared::kept), partial = take(Shared::partial), du = take(Shared::du);
    dots = take(Shared::dots), q = take(Shared::vector), de = take(Shared::vector);
    reads_twice = op.q && head() < op.query_extent.heads;
  }
  __device__ std::int64_t head() const { return blockIdx.x % op.extent.heads; }
  __device__ std::int64_t sequence() const { return blockIdx.x / op.extent.heads; }

  __device__ void load(std::int64_t index) {
    const std::int64_t first = index * chunk, left = op.extent.tokens - first;
    const std::int64_t stride = op.extent.stride();
    count = int(left < chunk ? left : chunk);
    at = op.extent.vector(sequence(), first, head());
    checkpoint = op.checkpoints + (blockIdx.x * op.extent.chunks() + index) * N * N;
    cuda::load_vectors<T, P>(r, op.r + at, stride, count, N);
    cuda::load_decays<T, P>(w, op.d + at, stride, count, N);
    cuda::load_vectors<T, P>(k, op.k + at, stride, count, N);
    cuda::load_vectors<T, P>(v, op.v + at, stride, count, N);
    cuda::load_vectors<T, P>(a, op.a + at, stride, count, N);
    cuda::load_vectors<T, P>(b, op.b + at, stride, count, N);
    cuda::load_vectors<T, P>(u, op.u + at, stride, count, N);
    cuda::load_vectors<T, P>(dy, op.dy + at, stride, count, N);
    if (!reads_twice) return;
    query_at = op.query_extent.vector(sequence(), first, head());
    cuda::load_vectors<T, P>(q, op.q + query_at, op.query_extent.stride(), count, N);
    cuda::load_vectors<T, P>(de, op.de + query_at, op.query_extent.stride(), count, N);
  }

  // <u, dy> and <v, dy> of every token: with them dr = S_t^T dy comes from the state before it.
  __device__ void sum_dots() {
    const int lane = int(threadIdx.x) % cuda::warp_size;
    for (int t = State::warp(); t < count; t += State::warps) {
      T of_u = 0, of_v = 0;
      for (int i = lane; i < P; i += cuda::warp_size) {
        of_u += u[t * P + i] * dy[t * P + i];
        of_v += v[t * P + i] * dy[t * P + i];
      }
      of_u = cuda::warp_sum(of_u);
      of_v = cuda::warp_sum(of_v);
      if (lane == 0) dots[t] = of_u, dots[chunk + t] = of_v;
    }
  }

  __device__ void update(int t) {
    before.update(w + t * P, u + t * P, b + t * P, v + t * P, k + t * P);
  }

  __device__ void keep_states() {
    before.load(checkpoint, N);
    for (int t = 0; t + Shared::group < count; t += Shared::group) {
#pragma unroll 1
      for (int i = t; i < t + Shared::group; ++i) update(i);
      before.keep(kept + t / Shared::group * P * P);
    }
  }
  __device__ void rebuild_state_before(int t) {
    const int start = t / Shared::group * Shared::group;
    if (start == 0)
      before.load(checkpoint, N);
    else
      before.recall(kept + (start / Shared::group - 1) * P * P);
#pragma unroll 1
    for (int i = start; i < t; ++i) update(i);
  }

  __device__ T* sums_at(int warp, int t, int sum) const {
    return partial +
           ((warp * Shared::sum_tokens + t % Shared::sum_tokens) * sums_of_token + sum) * P;
  }
  __device__ void write_sums(int t, Sum sum, T (&x)[State::columns]) {
    State::write_column_sums(sums_at(State::warp(), t, sum), x);
  }

  __device__ void add_query(int t) {
    T rows[State::rows], columns[State::columns];
    State::read_rows(rows, de + t * P);
    State::read_columns(columns, q + t * P);
    G.add_product(rows, columns);
  }

  // G of S_t becomes G of S_{t-1}, with all sums on the way.
  __device__ void step(int t) {
    T rows[State::rows], columns[State::columns], sums[State::columns];
    State::read_rows(rows, dy + t * P);
    State::read_columns(columns, r + t * P);
    G.add_product(rows, columns);
    before.transposed_times(sums, rows);
    write_sums(t, of_r, sums);
    if (reads_twice && op.current) add_query(t);
    sum_keys(t);
    State::read_columns(columns, b + t * P);
    G.times(rows, columns);
    T* du_of_token = du + t % 2 * P;
    State::write_row_sums(du_of_token, rows);
    __syncwarp();  // du of the warp's rows
    State::read_rows(rows, du_of_token);
    before.transposed_times(sums, rows);
    write_sums(t, of_a, sums);
    T decay[State::columns];
    State::read_columns(decay, w + t * P);
    State::read_columns(columns, a + t * P);
#pragma unroll
    for (int i = 0; i < State::rows; ++i)
#pragma unroll
      for (int j = 0; j < State::columns; ++j)
        G.s[i][j] = G.s[i][j] * decay[j] + rows[i] * columns[j];
    if (reads_twice && !op.current) add_query(t);
  }

  // What G of S_t gives to k, v, b and w.
  __device__ void sum_keys(int t) {
    T rows[State::rows], columns[State::columns], sums[State::columns];
    State::read_columns(columns, k + t * P);
    G.times(rows, columns);
    State::write_row_sums(dv + t * P, rows);
    State::read_rows(rows, v + t * P);
    G.transposed_times(sums, rows);
    write_sums(t, of_k, sums);
    State::read_rows(rows, u + t * P);
    G.transposed_times(sums, rows);
    write_sums(t, of_b, sums);
#pragma unroll
    for (int j = 0; j < State::columns; ++j) sums[j] = 0;
#pragma unroll
    for (int i = 0; i < State::rows; ++i)
#pragma unroll
      for (int j = 0; j < State::columns; ++j) sums[j] += before.s[i][j] * G.s[i][j];
    write_sums(t, of_w, sums);
  }

  // Adds the warps' sums of the tokens [first, last), in order, and stores the gradients.
  __device__ void store_gradients(int first, int last) {
    for (int e = first * P + int(threadIdx.x); e < last * P; e += State::threads) {
      const int t = e / P, j = e % P;
      if (j >= N) continue;
      T sum[sums_of_token];
#pragma unroll
      for (int s = 0; s < sums_of_token; ++s) {
        sum[s] = 0;
        for (int warp = 0; warp < State::warps; ++warp) sum[s] += sums_at(warp, t, s)[j];
      }
      const std::int64_t i = at + t * op.extent.stride() + j;
      cuda::add_to(op.dr[i], sum[of_r] * w[e] + (dots[t] * b[e] + dots[chunk + t] * k[e]),
                   op.fresh_r);
      cuda::add_to(op.dd[i], sum[of_w] * cuda::wkv_decay_slope(T(op.d[i])), op.fresh_d);
      cuda::add_to(op.dk[i], sum[of_k], op.fresh_k);
      cuda::add_to(op.dv[i], dv[e], op.fresh_v);
      cuda::add_to(op.da[i], sum[of_a], op.fresh_a);
      cuda::add_to(op.db[i], sum[of_b], op.fresh_b);
    }
  }
};

// One block per head of a sequence, from its last token to its first.
template <typename S, typename T, int P>
__global__ void __launch_bounds__(Tile<T, P>::threads, 1) wkv7_backward(BackwardOperands<S, T> op) {
  ReverseScan<S, T, P> scan(op);
  const int N = op.extent.N;
  const std::int64_t state = std::int64_t(blockIdx.x) * N * N;
  scan.G.load(op.dfinal_state ? op.dfinal_state + state : nullptr, N);
  for (std::int64_t index = op.extent.chunks() - 1; index >= 0; --index) {
    __syncthreads();  // the gradients of the chunk behind have been stored
    scan.load(index);
    __syncthreads();
    scan.sum_dots();
    scan.keep_states();
    int last = scan.count;
#pragma unroll 1
    for (int t = scan.count - 1; t >= 0; --t) {
      scan.rebuild_state_before(t);
      scan.step(t);
      if (t % Layout<P>::sum_tokens != 0) continue;
      __syncthreads();
      scan.store_gradients(t, last);
      __syncthreads();  // the next tokens write the sums again
      last = t;
    }
  }
  if (op.dinitial_state)
    scan.G.each(N, [&](T& element, int offset) {
      cuda::add_to(op.dinitial_state[state + offset], element, op.fresh_initial);
    });
}

}  // namespace

void Wkv7Backward::on(CudaQueue& queue) const {
  if (chunked) return cuda::wkv7_backward_chunked(*this, queue);
  cuda::with_tile(d, [&]<typename S, typename T, int P>() {
    cuda::launch("wkv7_backward", wkv7_backward<S, T, P>,
                 cuda::tile_grid<T, P>(cuda::heads_of(d), Layout<P>::elements(q.exists())),
                 queue.stream, cuda::operands_of<S, T>(*this));
  });
}

}  // namespace metascale
