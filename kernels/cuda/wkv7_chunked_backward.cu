// The reverse scan of WKV7 over both read-outs on tensor cores. In the notation of wkv7_chunked.cu,
// with D the gradient of the state behind the chunk, scaled by the decay of the second half, and
// M_xy = tril(X Y^T):
//   du = B D^T + M_rb^T dy + M_qb^T de;  dx = (I - M_ab)^{-T} du
//   dv = K D^T + M_rk^T dy + M_qk^T de + M_ak^T dx
//   dR = dy S + tril(dy v^T) K + tril(dy u^T) B, dA from dx and dQ from de likewise
//   dK = v D + tril(dy v^T)^T R + tril(de v^T)^T Q + tril(dx v^T)^T A, dB from u likewise
//   gradient of the state before: (D + dy^T R + de^T Q + dx^T A) scaled by the first half
// dR, dA, dK, dB become gradients of r, a, k, b by the factors that scaled these. Of log w_t: the
// gradient of a decay of the whole state before the chunk, less what reads (r, q, a) and adds (k,
// b) before t no longer depend on.
#include "kernels/cuda/wkv7_pieces.cuh"

namespace metascale::cuda {
namespace chunked {
namespace {

using Operands = BackwardOperands<bfloat16, float>;

enum Vector { of_d, of_k, of_v, of_b, of_u, of_r, of_a, of_dy, of_q, of_de, vectors_of_chunk };
enum Pairs { ak, rk, rb, qk, qb, ab, kinds_of_pairs };  // M_ab itself is kept as the inverse

struct BackwardShared {
  bfloat16 fetched[vectors_of_chunk][vectors];
  bfloat16 R[vectors], K[vectors], A[vectors], B[vectors], Q[vectors], dx[vectors];
  bfloat16 state[N * pitch], gradient[N * pitch];
  bfloat16 M[ab][pairs], dM[kinds_of_pairs][pairs];
  bfloat16 tile[warps][pairs];
  alignas(16) float inverse[chunk * wide_pitch];
  alignas(8) float decay[2 * N], x[(chunk + 1) * N];
  alignas(8) float of_read[chunk * N], of_removal[chunk * N];  // d/dg_t and d/dg_{t-1}
  float before[warps * N];                           // sums of state times gradient over rows
  FragmentC kept[saved_chunks - 2][N / 8][threads];  // rebuilt states
};

// A chunk and which of its vectors: the first `kinds`.
struct Fetch {
  int index = 0, kinds = 0;
};

struct ReverseScan {
  const Operands& op;
  BackwardShared& shared;
  Walk walk, query_walk;
  bool reads_twice;
  State state, G;  // before the chunk; gradient behind it
  int count;       // tokens of the chunk
  Resets resets;

  __device__ int shift() const { return op.current ? 0 : 1; }
  // The chunk that is fetched next is on its way to L2 while this one is worked on: shared memory
  // has no room for a second one. Eight threads per token, each with its kind of vector.
  __device__ void prefetch_chunk(Fetch next) const {
    const bfloat16* sources[] = {op.d, op.k, op.v, op.b, op.u, op.r, op.a, op.dy};
    const int t = int(threadIdx.x) / 8, kind = int(threadIdx.x) % 8;
#pragma unroll
    for (int i = 0; i < of_q; ++i)
      if (kind == i && i < next.kinds) walk.prefetch_vector(sources[i], next.index, t);
    if (next.kinds <= of_q || !reads_twice || kind > 1) return;
    query_walk.prefetch_vector(kind == 0 ? op.q : op.de, next.index, t);
  }
  __device__ void prefetch_state(int group) const {
    prefetch(walk.saved_state(op.checkpoints, group) + threadIdx.x * (N * N / threads));
  }

  // What a group's first step reads.
  __device__ Fetch first_of(int group) const {
    const int first = group * saved_chunks;
    return {first, first + 1 < end_of(group) ? int(of_r) : int(vectors_of_chunk)};
  }
  __device__ int end_of(int group) const {
    const int end = (group + 1) * saved_chunks, chunks = int(op.extent.chunks());
    return end < chunks ? end : chunks;
  }
  // What is read behind a chunk's gradients; nothing behind the first chunk's.
  __device__ Fetch behind(int index) const {
    if (index % saved_chunks != 0) return {index - 1, vectors_of_chunk};
    return index > 0 ? first_of(index / saved_chunks - 1) : Fetch{};
  }
  // Once the chunk before has been read by all; the vectors are there when take() is through.
  __device__ void fetch(Fetch next) {
    const bfloat16* sources[] = {op.d, op.k, op.v, op.b, op.u, op.r, op.a, op.dy};
    for (int i = 0; i < next.kinds && i < of_q; ++i)
      walk.fetch_vectors(shared.fetched[i], sources[i], next.index);
    if (next.kinds > of_q && reads_twice) {
      query_walk.fetch_vectors(shared.fetched[of_q], op.q, next.index);
      query_walk.fetch_vectors(shared.fetched[of_de], op.de, next.index);
    }
    commit_copies();
  }
  __device__ void take(int index) {
    wait_for_copies<0>();
    __syncthreads();
    count = walk.tokens_of(index);
    resets = resets_of(shared.fetched[of_d], count);
  }

  __device__ void keep(int place) {
#pragma unroll
    for (int n = 0; n < N / 8; ++n) shared.kept[place][n][threadIdx.x] = state.columns[n];
  }
  __device__ void recall(int place) {
#pragma unroll
    for (int n = 0; n < N / 8; ++n) state.columns[n] = shared.kept[place][n][threadIdx.x];
  }

  // The state before a chunk becomes that behind it.
  __device__ void pass(int index, Fetch next) {
    take(index);
    auto& now = shared.fetched;
    for_decays(now[of_d], count, shared.decay, nullptr, [&](int e, float2, float2, float2 shrunk) {
      store_scaled(shared.K + e, now[of_k] + e, shrunk);
      store_scaled(shared.B + e, now[of_b] + e, shrunk);
    });
    const FragmentA value = own_columns(of_v, resets.seen());
    const FragmentA removed = own_columns(of_u, resets.seen());
    __syncthreads();
    fetch(next);
    state.scale(shared.decay);
    if (resets.at) state.clear();
    state.add(value, shared.K);
    state.add(removed, shared.B);
    state.scale(shared.decay + N);
  }
  // Vectors of the chunk as (own value channels, tokens), without the tokens left out.
  __device__ FragmentA own_columns(Vector kind, unsigned tokens = 0xffffu) const {
    return with_columns(left_transposed(shared.fetched[kind] + warp() * own, pitch), tokens);
  }

  __device__ void scale_vectors() {
    auto& now = shared.fetched;
    const bool current = op.current, twice = reads_twice;
    for_decays(now[of_d], count, shared.decay, shared.x,
               [&](int e, float2 grown, float2 grown_before, float2 shrunk) {
                 store_scaled(shared.R + e, now[of_r] + e, grown);
                 store_scaled(shared.A + e, now[of_a] + e, grown_before);
                 store_scaled(shared.K + e, now[of_k] + e, shrunk);
                 store_scaled(shared.B + e, now[of_b] + e, shrunk);
                 if (twice)
                   store_scaled(shared.Q + e, now[of_q] + e, current ? grown : grown_before);
               });
  }

  __device__ void pair(bfloat16* to, const bfloat16* left, const bfloat16* right, int shift) {
    Square c;
    add_channel_sums(c, left, right);
    store_kept(to, c, resets, shift);
  }
  __device__ void pair_keys() {
    if (warp() == 0) {
      Square c;
      add_channel_sums(c, shared.A, shared.B);
      invert(shared.inverse, c, resets);
    }
    if (warp() == 1) pair(shared.M[ak], shared.A, shared.K, 1);
    if (warp() == 2) pair(shared.M[rk], shared.R, shared.K, 0);
    if (warp() == 3) pair(shared.M[rb], shared.R, shared.B, 0);
    if (!reads_twice) return;
    if (warp() == 2) pair(shared.M[qk], shared.Q, shared.K, shift());
    if (warp() == 3) pair(shared.M[qb], shared.Q, shared.B, shift());
  }
  __device__ void pair_values() {
    const auto& now = shared.fetched;
    if (warp() == 0) pair(shared.dM[ab], shared.dx, now[of_u], 1);
    if (warp() == 1) pair(shared.dM[ak], shared.dx, now[of_v], 1);
    if (warp() == 2) pair(shared.dM[rk], now[of_dy], now[of_v], 0);
    if (warp() == 3) pair(shared.dM[rb], now[of_dy], now[of_u], 0);
    if (!reads_twice) return;
    if (warp() == 0) pair(shared.dM[qk], now[of_de], now[of_v], shift());
    if (warp() == 1) pair(shared.dM[qb], now[of_de], now[of_u], shift());
  }

  // du, dx, dv of the own value channels, and the gradient of the state before the chunk.
  __device__ void differentiate_values(int index) {
    Square du, dv;  // (own value channels, tokens)
    G.add_read_to(du, shared.B);
    G.add_read_to(dv, shared.K);
    if (resets.at) keep_columns(du, resets.seen()), keep_columns(dv, resets.seen());
    const FragmentA dy = own_columns(of_dy);
    multiply_add(du, dy, right(shared.M[rb], pair_pitch));
    multiply_add(dv, dy, right(shared.M[rk], pair_pitch));
    FragmentA de = {};
    if (reads_twice) {
      de = own_columns(of_de);
      multiply_add(du, de, right(shared.M[qb], pair_pitch));
      multiply_add(dv, de, right(shared.M[qk], pair_pitch));
    }
    Square dx;
    multiply_add_wide(dx, du, shared.inverse, 1, wide_pitch);
    transpose(shared.dx + warp() * own, pitch, dx);
    const FragmentA through = as_left(dx);
    multiply_add(dv, through, right(shared.M[ak], pair_pitch));
    bfloat16* to = op.dv + walk.place(index);
    if (op.fresh_v)
      store_own(to, op.extent.stride(), count, dv, shared.tile[warp()]);
    else
      add_own(to, op.extent.stride(), count, dv);
    if (resets.at) G.clear();
    G.add(with_columns(dy, resets.seeing(0)), shared.R);
    G.add(with_columns(through, resets.seeing(1)), shared.A);
    if (reads_twice) G.add(with_columns(de, resets.seeing(shift())), shared.Q);
    G.scale(shared.decay);
  }
  __device__ void share_scaled_state() {
    State scaled = state;  // which itself stays as it is, for sum_products
    scaled.scale(shared.decay);
    scaled.share(shared.state);
  }

  // Of each key channel, sum over the own rows of state times its gradient.
  __device__ void sum_products() {
#pragma unroll
    for (int n = 0; n < N / 8; ++n)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float sum = state.columns[n].x[i] * G.columns[n].x[i] +
                    state.columns[n].x[i + 2] * G.columns[n].x[i + 2];
        for (int offset = 4; offset < warp_size; offset *= 2)
          sum += __shfl_xor_sync(0xffffffffu, sum, offset);
        if (group() == 0) shared.before[warp() * N + column_of(n, i)] = sum;
      }
  }

  // c becomes the gradient of scaled reads: dy S + dM_k K + dM_b B, of the own key channels.
  __device__ void differentiate_reads(Square& c, const bfloat16* of_result, unsigned seeing,
                                      Pairs with_key, Pairs with_insert) {
    add_state_read(c, of_result, shared.state);
    if (resets.at) keep_rows(c, seeing);
    add_pairs(c, shared.dM[with_key], shared.K);
    add_pairs(c, shared.dM[with_insert], shared.B);
  }
  __device__ void differentiate_adds(Square& c, const bfloat16* added, Pairs by_r, Pairs by_a,
                                     Pairs by_q) {
    add_state_read(c, added, shared.gradient);
    if (resets.at) keep_rows(c, resets.seen());
    add_transposed_pairs(c, shared.dM[by_r], shared.R);
    add_transposed_pairs(c, shared.dM[by_a], shared.A);
    if (reads_twice) add_transposed_pairs(c, shared.dM[by_q], shared.Q);
  }

  // Gradients of r, a, k, b, and what they mean for the decays, of the own key channels.
  __device__ void differentiate_keys(int index) {
    Square dr, da, dk, db, dq;  // (tokens, own key channels)
    differentiate_reads(dr, shared.fetched[of_dy], resets.seeing(0), rk, rb);
    differentiate_reads(da, shared.dx, resets.seeing(1), ak, ab);
    if (reads_twice) differentiate_reads(dq, shared.fetched[of_de], resets.seeing(shift()), qk, qb);
    differentiate_adds(dk, shared.fetched[of_v], rk, ak, qk);
    differentiate_adds(db, shared.fetched[of_u], rb, ab, qb);
    each_pair_of_own([&](int t, int j, int n, int i) {
      // Of the two channels: what the reads and adds of the token say of its decays, and the
      // gradients of its vectors.
      const int e = t * pitch + j;
      const float2 R = load_pair(shared.R + e), K = load_pair(shared.K + e);
      const float2 A = load_pair(shared.A + e), B = load_pair(shared.B + e);
      const float2 Q = reads_twice ? load_pair(shared.Q + e) : make_float2(0, 0);
      const float *r = dr.n[n].x + i, *a = da.n[n].x + i, *k = dk.n[n].x + i, *b = db.n[n].x + i,
                  *q = dq.n[n].x + i;
      const float2 query = make_float2(Q.x * q[0], Q.y * q[1]);
      const float2 with_read = op.current ? query : make_float2(0, 0),
                   with_removal = op.current ? make_float2(0, 0) : query;
      *reinterpret_cast<float2*>(shared.of_read + t * N + j) =
          make_float2(R.x * r[0] - K.x * k[0] - B.x * b[0] + with_read.x,
                      R.y * r[1] - K.y * k[1] - B.y * b[1] + with_read.y);
      *reinterpret_cast<float2*>(shared.of_removal + t * N + j) =
          make_float2(A.x * a[0] + with_removal.x, A.y * a[1] + with_removal.y);
      if (t >= count) return;
      const std::int64_t at = walk.place(index) + t * op.extent.stride() + j;
      const float2 x = *reinterpret_cast<const float2*>(shared.x + (t + 1) * N + j);
      const float2 x_before = *reinterpret_cast<const float2*>(shared.x + t * N + j);
      const float2 shrunk = make_float2(power_of_two(-x.x), power_of_two(-x.y));
      add_pair_to(op.dr + at, r[0] * power_of_two(x.x), r[1] * power_of_two(x.y), op.fresh_r);
      add_pair_to(op.da + at, a[0] * power_of_two(x_before.x), a[1] * power_of_two(x_before.y),
                  op.fresh_a);
      add_pair_to(op.dk + at, k[0] * shrunk.x, k[1] * shrunk.y, op.fresh_k);
      add_pair_to(op.db + at, b[0] * shrunk.x, b[1] * shrunk.y, op.fresh_b);
    });
  }
  // Two threads per key channel, each half of the tokens; the next chunk comes in meanwhile.
  __device__ void differentiate_decays(int index) {
    constexpr int tokens = chunk / 2;
    const int j = int(threadIdx.x) % N, first = int(threadIdx.x) / N * tokens;
    float logits[tokens], sum = 0;
#pragma unroll
    for (int i = 0; i < tokens; ++i) logits[i] = shared.fetched[of_d][(first + i) * pitch + j];
    __syncthreads();  // sums are there, and the chunk has been read
    if (index > 0) fetch(behind(index));
    for (int w = 0; w < warps; ++w) sum += shared.before[w * N + j];
    for (int t = 0; t < first; ++t) {
      sum -= shared.of_removal[t * N + j];
      sum -= shared.of_read[t * N + j];
    }
#pragma unroll
    for (int i = 0; i < tokens; ++i) {
      const int t = first + i;
      sum -= shared.of_removal[t * N + j];
      const float slope =
          -wkv_decay_rate<float> * sigmoid<bfloat16>(logits[i]) * sigmoid<bfloat16>(-logits[i]);
      if (t < count)
        add_to(op.dd[walk.place(index) + t * op.extent.stride() + j], sum * slope, op.fresh_d);
      sum -= shared.of_read[t * N + j];
    }
  }

  __device__ void run_chunk(int index) {
    take(index);
    scale_vectors();
    __syncthreads();
    share_scaled_state();
    G.scale(shared.decay + N);
    G.share(shared.gradient);
    pair_keys();
    __syncthreads();
    differentiate_values(index);
    sum_products();
    __syncthreads();
    pair_values();
    __syncthreads();
    differentiate_keys(index);
    differentiate_decays(index);
  }
  // The chunks behind a saved state, from the last to the first.
  __device__ void run_group(int group) {
    const int first = group * saved_chunks, end = end_of(group);
    const float* saved = walk.saved_state(op.checkpoints, group);
    state.load(saved);
#pragma unroll 1
    for (int index = first; index + 1 < end; ++index) {
      if (index > first) keep(index - first - 1);
      const Fetch next{index + 1, index + 2 < end ? int(of_r) : int(vectors_of_chunk)};
      prefetch_chunk(next);
      pass(index, next);
    }
#pragma unroll 1
    for (int index = end - 1; index >= first; --index) {
      if (index == first)
        state.load(saved);
      else if (index + 1 < end)
        recall(index - first - 1);
      prefetch_chunk(behind(index));
      if (index == first && group > 0) prefetch_state(group - 1);
      run_chunk(index);
    }
  }
};

// One block per head of a sequence, from its last chunk to its first.
__global__ void __launch_bounds__(threads) wkv7_backward_chunked(Operands op) {
  const std::int64_t sequence = blockIdx.x / op.extent.heads, head = blockIdx.x % op.extent.heads;
  ReverseScan scan{op,
                   *dynamic_shared<BackwardShared>(),
                   {op.extent, sequence, head},
                   {op.query_extent, sequence, head},
                   op.q && head < op.query_extent.heads};
  const std::int64_t at = std::int64_t(blockIdx.x) * N * N;
  const int last = int(saved_states(op.extent)) - 1;
  scan.G.load(op.dfinal_state ? op.dfinal_state + at : nullptr);
  scan.fetch(scan.first_of(last));
#pragma unroll 1
  for (int group = last; group >= 0; --group) scan.run_group(group);
  if (op.dinitial_state)
    scan.G.each_pair([&](const float* x, int offset) {
      add_to(op.dinitial_state[at + offset], x[0], op.fresh_initial);
      add_to(op.dinitial_state[at + offset + 1], x[1], op.fresh_initial);
    });
}

}  // namespace
}  // namespace chunked

void wkv7_backward_chunked(const Wkv7Backward& op, CudaQueue& queue) {
  launch("wkv7_backward_chunked", chunked::wkv7_backward_chunked,
         chunked::grid_of<chunked::BackwardShared>(heads_of(op.d)), queue.stream,
         operands_of<bfloat16, float>(op));
}

}  // namespace metascale::cuda
