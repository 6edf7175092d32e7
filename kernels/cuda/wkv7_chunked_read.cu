// The second read-out of WKV7 and its query gradient on tensor cores, over the 64 tokens behind
// each saved state in turn. In the notation of wkv7_chunked.cu, Q scaled as what it reads:
//   e = Q S^T + tril(Q K^T) v + tril(Q B^T) u
//   dq = (de S + tril(de v^T) K + tril(de u^T) B) exp(x)
#include "kernels/cuda/wkv7_pieces.cuh"

namespace metascale::cuda {
namespace chunked {
namespace {

using Operands = ChunkOperands<bfloat16, float>;

enum Vector { of_d, of_k, of_v, of_b, of_u, of_query, vectors_of_chunk };

struct ReadShared {
  bfloat16 fetched[2][vectors_of_chunk][vectors];
  bfloat16 K[vectors], B[vectors], Q[vectors];
  bfloat16 with_value[pairs], with_removed[pairs];
  bfloat16 tile[warps][pairs];
  bfloat16 state[N * pitch];
  alignas(8) float decay[2 * N], x[(chunk + 1) * N];
};

struct ReadScan {
  const Operands& op;
  ReadShared& shared;
  Walk walk, query_walk;
  std::int64_t end;  // of the block's chunks
  State state;

  __device__ int shift() const { return op.current ? 0 : 1; }
  __device__ void fetch_chunk(std::int64_t index) {
    if (index < end) {
      bfloat16(*to)[vectors] = shared.fetched[index % 2];
      const bfloat16* sources[] = {op.d, op.k, op.v, op.b, op.u};
#pragma unroll
      for (int i = 0; i < of_query; ++i) walk.fetch_vectors(to[i], sources[i], index);
      query_walk.fetch_vectors(to[of_query], op.query, index);
    }
    commit_copies();
  }
  __device__ void scale_vectors(const bfloat16 (&now)[vectors_of_chunk][vectors], int count) {
    const bool current = op.current;
    for_decays(now[of_d], count, shared.decay, shared.x,
               [&](int e, float2 grown, float2 grown_before, float2 shrunk) {
                 store_scaled(shared.Q + e, now[of_query] + e, current ? grown : grown_before);
                 store_scaled(shared.K + e, now[of_k] + e, shrunk);
                 store_scaled(shared.B + e, now[of_b] + e, shrunk);
               });
  }
  // left (16, 64) with K or v, and with B or u, by two warps.
  __device__ void pair_tokens(const bfloat16* left, const bfloat16* first, const bfloat16* second,
                              const Resets& resets) {
    if (warp() >= 2) return;
    Square c;
    add_channel_sums(c, left, warp() == 0 ? first : second);
    store_kept(warp() == 0 ? shared.with_value : shared.with_removed, c, resets, shift());
  }
  __device__ void read(std::int64_t index, const FragmentA& value, const FragmentA& removed,
                       const Resets& resets) {
    Square e;  // (own value channels, tokens)
    state.add_read_to(e, shared.Q);
    if (resets.at) keep_columns(e, resets.seeing(shift()));
    pair_tokens(shared.Q, shared.K, shared.B, resets);
    __syncthreads();
    multiply_add(e, value, right_transposed(shared.with_value, pair_pitch));
    multiply_add(e, removed, right_transposed(shared.with_removed, pair_pitch));
    store_own(op.result + query_walk.place(index), op.query_extent.stride(), walk.tokens_of(index),
              e, shared.tile[warp()]);
  }
  __device__ void differentiate(std::int64_t index,
                                const bfloat16 (&now)[vectors_of_chunk][vectors],
                                const Resets& resets) {
    pair_tokens(now[of_query], now[of_v], now[of_u], resets);
    __syncthreads();
    Square dq;  // (tokens, own key channels)
    add_state_read(dq, now[of_query], shared.state);
    if (resets.at) keep_rows(dq, resets.seeing(shift()));
    add_pairs(dq, shared.with_value, shared.K);
    add_pairs(dq, shared.with_removed, shared.B);
    const int count = walk.tokens_of(index);
    each_pair_of_own([&](int t, int j, int n, int i) {
      if (t >= count) return;
      const float* x = shared.x + (t + 1 - shift()) * N + j;
      add_pair_to(op.result + query_walk.place(index) + t * op.query_extent.stride() + j,
                  dq.n[n].x[i] * power_of_two(x[0]), dq.n[n].x[i + 1] * power_of_two(x[1]),
                  op.fresh);
    });
  }
  template <bool gradient>
  __device__ void run_chunk(std::int64_t index) {
    const auto& now = shared.fetched[index % 2];
    wait_for_copies<0>();
    __syncthreads();  // the chunk is there, and the one before has been read
    fetch_chunk(index + 1);
    const Resets resets = resets_of(now[of_d], walk.tokens_of(index));
    scale_vectors(now, walk.tokens_of(index));
    __syncthreads();
    state.scale(shared.decay);
    if constexpr (gradient) state.share(shared.state);
    const FragmentA value = left_transposed(now[of_v] + warp() * own, pitch);
    const FragmentA removed = left_transposed(now[of_u] + warp() * own, pitch);
    if constexpr (gradient)
      differentiate(index, now, resets);
    else
      read(index, value, removed, resets);
    if (resets.at) state.clear();
    state.add(with_columns(value, resets.seen()), shared.K);
    state.add(with_columns(removed, resets.seen()), shared.B);
    state.scale(shared.decay + N);
  }
};

// One block per saved state of a head with a second read-out.
template <bool gradient>
__global__ void __launch_bounds__(threads) wkv7_read_chunked(Operands op) {
  const std::int64_t saved = saved_states(op.extent), readers = op.query_extent.heads;
  const std::int64_t group = blockIdx.x % saved, head = blockIdx.x / saved % readers,
                     sequence = blockIdx.x / (saved * readers);
  const std::int64_t first = group * saved_chunks, chunks = op.extent.chunks();
  ReadScan scan{op,
                *dynamic_shared<ReadShared>(),
                {op.extent, sequence, head},
                {op.query_extent, sequence, head},
                first + saved_chunks < chunks ? first + saved_chunks : chunks,
                {}};
  scan.state.load(scan.walk.saved_state(op.checkpoints, group));
  scan.fetch_chunk(first);
#pragma unroll 1
  for (std::int64_t index = first; index < scan.end; ++index)
    scan.template run_chunk<gradient>(index);
}

template <bool gradient, typename Op>
void launch_read(const char* name, const Op& op, const Tensor& query, const Tensor& result,
                 CudaQueue& queue) {
  const std::int64_t states = wkv7_saved_states(query.shape[1], true);
  launch(name, wkv7_read_chunked<gradient>, grid_of<ReadShared>(heads_of(query) * states),
         queue.stream, operands_of<bfloat16, float>(op, query, result));
}

}  // namespace
}  // namespace chunked

void wkv7_read_out_chunked(const Wkv7ReadOut& op, CudaQueue& queue) {
  chunked::launch_read<false>("wkv7_read_out_chunked", op, op.q, op.e, queue);
}

void wkv7_query_backward_chunked(const Wkv7QueryBackward& op, CudaQueue& queue) {
  chunked::launch_read<true>("wkv7_query_backward_chunked", op, op.de, op.dq, queue);
}

}  // namespace metascale::cuda
