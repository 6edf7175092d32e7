// The scan of WKV7 forward, and its second read-out; the reverse scan is in wkv7_backward.cu.
// States in f32 (f64 for f64 operands). Checkpoints are states (N, N) as the operands have them.
#include "kernels/cuda/wkv7_chunked.hpp"
#include "kernels/cuda/wkv7_operands.cuh"

namespace metascale {
namespace {

using cuda::chunk;
using cuda::ChunkOperands;
using cuda::ForwardOperands;
using cuda::Tile;

// One block per head of a sequence, token after token; a row of the state never leaves its warp.
template <typename S, typename T, int P>
__global__ void __launch_bounds__(Tile<T, P>::threads, 1) wkv7_forward(ForwardOperands<S, T> op) {
  constexpr int vectors = chunk * P;
  T *r = cuda::dynamic_shared<T>(), *w = r + vectors, *k = w + vectors, *v = k + vectors,
    *a = v + vectors, *b = a + vectors, *y = b + vectors, *u = y + vectors;
  const auto [tokens, heads, N] = op.extent;
  const std::int64_t stride = op.extent.stride();
  Tile<T, P> state;
  const std::int64_t states = std::int64_t(N) * N;
  state.load(op.initial_state ? op.initial_state + blockIdx.x * states : nullptr, N);
  for (std::int64_t first = 0; first < tokens; first += chunk) {
    const int count = int(tokens - first < chunk ? tokens - first : chunk);
    const std::int64_t at = op.extent.vector(blockIdx.x / heads, first, blockIdx.x % heads);
    __syncthreads();  // the chunk before has been read
    cuda::load_vectors<T, P>(r, op.r + at, stride, count, N);
    cuda::load_decays<T, P>(w, op.d + at, stride, count, N);
    cuda::load_vectors<T, P>(k, op.k + at, stride, count, N);
    cuda::load_vectors<T, P>(v, op.v + at, stride, count, N);
    cuda::load_vectors<T, P>(a, op.a + at, stride, count, N);
    cuda::load_vectors<T, P>(b, op.b + at, stride, count, N);
    if (op.checkpoints)
      state.store(op.checkpoints + (blockIdx.x * op.extent.chunks() + first / chunk) * states, N);
    __syncthreads();
#pragma unroll 1
    for (int t = 0; t < count; ++t) {
      T column[Tile<T, P>::columns], sums[Tile<T, P>::rows];
      state.read_columns(column, a + t * P);
      state.times(sums, column);
      state.write_row_sums(u + t * P, sums);
      __syncwarp();  // u of the warp's rows
      state.update(w + t * P, u + t * P, b + t * P, v + t * P, k + t * P);
      state.read_columns(column, r + t * P);
      state.times(sums, column);
      state.write_row_sums(y + t * P, sums);
    }
    __syncthreads();
    cuda::store_vectors<T, P>(op.y + at, y, stride, count, N);
    if (op.u) cuda::store_vectors<T, P>(op.u + at, u, stride, count, N);
  }
  if (op.final_state) state.store(op.final_state + blockIdx.x * states, N);
}

// The vectors and the state at the start of the block's chunk.
template <typename S, typename T, int P>
struct LoadedChunk {
  static constexpr int vectors = chunk * P;
  T *w, *k, *v, *b, *u, *query, *rest;  // (16, P) each; rest: shared memory behind them
  std::int64_t query_at;
  int count;
  Tile<T, P> state;

  __device__ explicit LoadedChunk(const ChunkOperands<S, T>& op) {
    w = cuda::dynamic_shared<T>();
    k = w + vectors, v = k + vectors, b = v + vectors, u = b + vectors, query = u + vectors;
    rest = query + vectors;
    const std::int64_t chunks = op.extent.chunks(), readers = op.query_extent.heads;
    const std::int64_t index = blockIdx.x % chunks, head = blockIdx.x / chunks % readers,
                       sequence = blockIdx.x / (chunks * readers), first = index * chunk;
    const std::int64_t left = op.extent.tokens - first, stride = op.extent.stride();
    const std::int64_t at = op.extent.vector(sequence, first, head);
    const int N = op.extent.N;
    count = int(left < chunk ? left : chunk);
    query_at = op.query_extent.vector(sequence, first, head);
    cuda::load_decays<T, P>(w, op.d + at, stride, count, N);
    cuda::load_vectors<T, P>(k, op.k + at, stride, count, N);
    cuda::load_vectors<T, P>(v, op.v + at, stride, count, N);
    cuda::load_vectors<T, P>(b, op.b + at, stride, count, N);
    cuda::load_vectors<T, P>(u, op.u + at, stride, count, N);
    cuda::load_vectors<T, P>(query, op.query + query_at, op.query_extent.stride(), count, N);
    const std::int64_t states = (sequence * op.extent.heads + head) * chunks + index;
    state.load(op.checkpoints + states * N * N, N);
    __syncthreads();
  }
  __device__ void update(int t) {
    state.update(w + t * P, u + t * P, b + t * P, v + t * P, k + t * P);
  }
};

// One block per chunk of a head with a second read-out: e = S q.
template <typename S, typename T, int P>
__global__ void __launch_bounds__(Tile<T, P>::threads) wkv7_read_out(ChunkOperands<S, T> op) {
  LoadedChunk<S, T, P> part(op);
  T* e = part.rest;
#pragma unroll 1
  for (int t = 0; t < part.count; ++t) {
    T query[Tile<T, P>::columns], sums[Tile<T, P>::rows];
    if (op.current) part.update(t);
    part.state.read_columns(query, part.query + t * P);
    part.state.times(sums, query);
    part.state.write_row_sums(e + t * P, sums);
    if (!op.current) part.update(t);
  }
  __syncthreads();
  cuda::store_vectors<T, P>(op.result + part.query_at, e, op.query_extent.stride(), part.count,
                            op.extent.N);
}

// One block per chunk of a head with a second read-out: dq = S^T de.
template <typename S, typename T, int P>
__global__ void __launch_bounds__(Tile<T, P>::threads) wkv7_query_backward(ChunkOperands<S, T> op) {
  using State = Tile<T, P>;
  LoadedChunk<S, T, P> part(op);
  T* partial = part.rest;  // (warps, 16, P)
#pragma unroll 1
  for (int t = 0; t < part.count; ++t) {
    T above[State::rows], sums[State::columns];
    if (op.current) part.update(t);
    part.state.read_rows(above, part.query + t * P);
    part.state.transposed_times(sums, above);
    part.state.write_column_sums(partial + (State::warp() * chunk + t) * P, sums);
    if (!op.current) part.update(t);
  }
  __syncthreads();
  for (int e = int(threadIdx.x); e < part.count * P; e += State::threads) {
    const int t = e / P, j = e % P;
    if (j >= op.extent.N) continue;
    T sum = 0;
    for (int warp = 0; warp < State::warps; ++warp) sum += partial[(warp * chunk + t) * P + j];
    cuda::add_to(op.result[part.query_at + t * op.query_extent.stride() + j], sum, op.fresh);
  }
}

// A block for every chunk of every head of query; vectors: what is kept of 16 tokens.
template <typename T, int P>
cuda::Grid one_block_per_chunk(const Tensor& query, int vectors) {
  return cuda::tile_grid<T, P>(cuda::heads_of(query) * cuda::chunks_of(query),
                               std::size_t(vectors) * chunk * P);
}

}  // namespace

void Wkv7Forward::on(CudaQueue& queue) const {
  if (chunked) return cuda::wkv7_forward_chunked(*this, queue);
  cuda::with_tile(r, [&]<typename S, typename T, int P>() {
    cuda::launch("wkv7_forward", wkv7_forward<S, T, P>,
                 cuda::tile_grid<T, P>(cuda::heads_of(r), 8 * chunk * P), queue.stream,
                 cuda::operands_of<S, T>(*this));
  });
}

void Wkv7ReadOut::on(CudaQueue& queue) const {
  if (chunked) return cuda::wkv7_read_out_chunked(*this, queue);
  cuda::with_tile(q, [&]<typename S, typename T, int P>() {
    cuda::launch("wkv7_read_out", wkv7_read_out<S, T, P>, one_block_per_chunk<T, P>(q, 7),
                 queue.stream, cuda::operands_of<S, T>(*this, q, e));
  });
}

void Wkv7QueryBackward::on(CudaQueue& queue) const {
  if (chunked) return cuda::wkv7_query_backward_chunked(*this, queue);
  cuda::with_tile(de, [&]<typename S, typename T, int P>() {
    cuda::launch("wkv7_query_backward", wkv7_query_backward<S, T, P>,
                 one_block_per_chunk<T, P>(de, 6 + Tile<T, P>::warps), queue.stream,
                 cuda::operands_of<S, T>(*this, de, dq));
  });
}

}  // namespace metascale
