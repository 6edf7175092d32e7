// WKV7 forward on tensor cores. Within a chunk, with A, R, K, B scaled by its decays and S the
// state before it, scaled [wkv7_pieces.cuh]; tril: t >= s, and strictly where a reads S_{t-1}:
//   u = (I - tril(A B^T))^{-1} (A S^T + tril(A K^T) v)
//   y = R S^T + tril(R K^T) v + tril(R B^T) u
//   S = (S + v^T K + u^T B) diag(decay of what is left of the chunk)
// Operands of products are rounded to bf16, sums, the state and the inverse are f32.
#include "kernels/cuda/wkv7_pieces.cuh"

namespace metascale::cuda {
namespace chunked {
namespace {

using Operands = ForwardOperands<bfloat16, float>;

// Vectors as they come, two chunks in turn.
enum Vector { of_r, of_d, of_k, of_v, of_a, of_b, vectors_of_chunk };

struct ForwardShared {
  bfloat16 fetched[2][vectors_of_chunk][vectors];
  bfloat16 R[vectors], K[vectors], A[vectors], B[vectors];
  bfloat16 read_key[pairs], read_insert[pairs], remove_key[pairs];
  bfloat16 tile[warps][pairs];
  alignas(16) float inverse[chunk * wide_pitch];
  alignas(8) float decay[2 * N];
};

struct ForwardScan {
  const Operands& op;
  ForwardShared& shared;
  Walk walk;
  State state;

  __device__ void fetch_chunk(std::int64_t index) {
    if (index < op.extent.chunks()) {
      const bfloat16* sources[] = {op.r, op.d, op.k, op.v, op.a, op.b};
#pragma unroll
      for (int i = 0; i < vectors_of_chunk; ++i)
        walk.fetch_vectors(shared.fetched[index % 2][i], sources[i], index);
    }
    commit_copies();
  }
  __device__ void scale_vectors(const bfloat16 (&now)[vectors_of_chunk][vectors], int count) {
    for_decays(now[of_d], count, shared.decay, nullptr,
               [&](int e, float2 grown, float2 grown_before, float2 shrunk) {
                 store_scaled(shared.R + e, now[of_r] + e, grown);
                 store_scaled(shared.A + e, now[of_a] + e, grown_before);
                 store_scaled(shared.K + e, now[of_k] + e, shrunk);
                 store_scaled(shared.B + e, now[of_b] + e, shrunk);
               });
  }
  // Products of all pairs of tokens, one kind per warp.
  __device__ void pair_tokens(const Resets& resets) {
    const bool reads = warp() >= 2, keys = warp() % 2 == 1;
    Square c;
    add_channel_sums(c, reads ? shared.R : shared.A, keys ? shared.K : shared.B);
    if (warp() == 0)
      invert(shared.inverse, c, resets);
    else if (warp() == 1)
      store_kept(shared.remove_key, c, resets, 1);
    else
      store_kept(keys ? shared.read_key : shared.read_insert, c, resets, 0);
  }
  __device__ void finish_chunk(std::int64_t index, const bfloat16* v, const Resets& resets,
                               Square& x, Square& y) {
    const FragmentA value = left_transposed(v + warp() * own, pitch);
    multiply_add(x, value, right_transposed(shared.remove_key, pair_pitch));
    multiply_add(y, value, right_transposed(shared.read_key, pair_pitch));
    Square u;
    multiply_add_wide(u, x, shared.inverse, wide_pitch, 1);
    const FragmentA removed = as_left(u);
    multiply_add(y, removed, right_transposed(shared.read_insert, pair_pitch));
    if (resets.at) state.clear();
    state.add(with_columns(value, resets.seen()), shared.K);
    state.add(with_columns(removed, resets.seen()), shared.B);
    state.scale(shared.decay + N);
    const int count = walk.tokens_of(index);
    store_own(op.y + walk.place(index), op.extent.stride(), count, y, shared.tile[warp()]);
    if (op.u)
      store_own(op.u + walk.place(index), op.extent.stride(), count, u, shared.tile[warp()]);
  }
  __device__ void run_chunk(std::int64_t index) {
    const auto& now = shared.fetched[index % 2];
    wait_for_copies<0>();
    __syncthreads();  // the chunk is there, and the one before has been read
    fetch_chunk(index + 1);
    const Resets resets = resets_of(now[of_d], walk.tokens_of(index));
    scale_vectors(now, walk.tokens_of(index));
    if (op.checkpoints && index % saved_chunks == 0)
      state.store(op.checkpoints +
                  (blockIdx.x * saved_states(op.extent) + index / saved_chunks) * N * N);
    __syncthreads();
    state.scale(shared.decay);
    Square x, y;  // (own value channels, tokens)
    state.add_read_to(x, shared.A);
    state.add_read_to(y, shared.R);
    if (resets.at) keep_columns(x, resets.seeing(1)), keep_columns(y, resets.seeing(0));
    pair_tokens(resets);
    __syncthreads();
    finish_chunk(index, now[of_v], resets, x, y);
  }
};

// One block per head of a sequence, chunk after chunk.
__global__ void __launch_bounds__(threads) wkv7_forward_chunked(Operands op) {
  ForwardScan scan{op,
                   *dynamic_shared<ForwardShared>(),
                   {op.extent, blockIdx.x / op.extent.heads, blockIdx.x % op.extent.heads},
                   {}};
  const std::int64_t states = std::int64_t(blockIdx.x) * N * N;
  scan.state.load(op.initial_state ? op.initial_state + states : nullptr);
  scan.fetch_chunk(0);
#pragma unroll 1
  for (std::int64_t index = 0; index < op.extent.chunks(); ++index) scan.run_chunk(index);
  if (op.final_state) scan.state.store(op.final_state + states);
}

}  // namespace
}  // namespace chunked

void wkv7_forward_chunked(const Wkv7Forward& op, CudaQueue& queue) {
  launch("wkv7_forward_chunked", chunked::wkv7_forward_chunked,
         chunked::grid_of<chunked::ForwardShared>(heads_of(op.r)), queue.stream,
         operands_of<bfloat16, float>(op));
}

}  // namespace metascale::cuda
