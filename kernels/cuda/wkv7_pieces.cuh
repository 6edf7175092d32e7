// What the chunked forms of WKV7 share: heads of 64 channels, chunks of 16 tokens, products of 16 x
// 16 pieces of bf16 matrices in shared memory, and a chunk's vectors scaled by its decays.
//
// With g_t the sum of log w up to token t of a chunk and x_t = g_t - g_7, a pair of tokens t >= s
// needs exp(g_t - g_s) = exp(x_t) exp(-x_s). Since log w lies in [-e^{-1/2}, 0], x_t is the sum of
// at most 8 of them: |x| <= 8 e^{-1/2} = 4.86, and every factor lies in [1 / 129, 129]: nothing
// overflows or dies, and bf16 keeps its 8 bits. A token with w = 0 (all its channels) counts as w =
// 1 here; pairs of tokens on both sides of it are left out by masks.
#pragma once

#include <cstring>

#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/wkv7_chunked.hpp"
#include "kernels/cuda/wkv7_operands.cuh"

namespace metascale::cuda::chunked {

inline constexpr int N = 64, warps = 4, threads = warps * warp_size;
inline constexpr int pitch = N + 8;           // of (16, 64) bf16: rows of a fragment in other banks
inline constexpr int pair_pitch = chunk + 8;  // of (16, 16) bf16
inline constexpr int wide_pitch = chunk + 1;  // of (16, 16) f32
inline constexpr int vectors = chunk * pitch, pairs = chunk * pair_pitch;  // elements
inline constexpr int own = N / warps;                                      // channels of a warp: 16
inline constexpr int saved_chunks =
    int(wkv7_chunked_checkpoint) / chunk;  // from a state to the next

__device__ inline std::int64_t saved_states(const WkvExtent& extent) {
  return (extent.chunks() - 1) / saved_chunks + 1;
}

__device__ inline int warp() { return int(threadIdx.x) / warp_size; }
__device__ inline int lane() { return int(threadIdx.x) % warp_size; }
// Place in a fragment's layout [fragments.cuh].
__device__ inline int group() { return lane() / 4; }
__device__ inline int quarter() { return lane() % 4; }
__device__ inline int row_of(int i) { return group() + i / 2 * 8; }
__device__ inline int column_of(int n, int i) { return 8 * n + 2 * quarter() + i % 2; }

// 16 x 16: B, and C.
struct SquareB {
  FragmentB n[2];
};
struct Square {
  FragmentC n[2] = {};
};

__device__ inline void multiply_add(Square& c, const FragmentA& a, const SquareB& b) {
  cuda::multiply_add(c.n[0], a, b.n[0]);
  cuda::multiply_add(c.n[1], a, b.n[1]);
}

// The piece (16, 16) at `m` of a matrix in shared memory as A = M or M^T, or as B.
__device__ inline FragmentA left(const bfloat16* m, int step) {
  FragmentA a;
  load_matrices(a.x, m + lane() % 16 * step + lane() / 16 * 8);
  return a;
}
__device__ inline FragmentA left_transposed(const bfloat16* m, int step) {
  FragmentA a;
  load_transposed_matrices(a.x, m + (lane() % 8 + lane() / 16 * 8) * step + lane() / 8 % 2 * 8);
  return a;
}
__device__ inline SquareB right(const bfloat16* m, int step) {
  unsigned x[4];
  load_transposed_matrices(x, m + lane() % 16 * step + lane() / 16 * 8);
  return {{{{x[0], x[1]}}, {{x[2], x[3]}}}};
}
__device__ inline SquareB right_transposed(const bfloat16* m, int step) {
  unsigned x[4];
  load_matrices(x, m + (lane() % 8 + lane() / 16 * 8) * step + lane() / 8 % 2 * 8);
  return {{{{x[0], x[1]}}, {{x[2], x[3]}}}};
}

__device__ inline unsigned packed(float first, float second) {
  const __nv_bfloat162 pair = __float22bfloat162_rn(make_float2(first, second));
  unsigned bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}
__device__ inline void store_pair(bfloat16* to, float first, float second) {
  const unsigned pair = packed(first, second);
  std::memcpy(static_cast<void*>(to), &pair, sizeof pair);
}
__device__ inline float rounded(float x) { return float(stored<bfloat16>(x)); }

// Two neighbouring pieces of a product as the operand of the next, rounded.
__device__ inline FragmentA as_left(const FragmentC& one, const FragmentC& next) {
  return {{packed(one.x[0], one.x[1]), packed(one.x[2], one.x[3]), packed(next.x[0], next.x[1]),
           packed(next.x[2], next.x[3])}};
}
__device__ inline FragmentA as_left(const Square& c) { return as_left(c.n[0], c.n[1]); }

// The columns of a whose bits are set; zeros elsewhere.
__device__ inline FragmentA with_columns(FragmentA a, unsigned columns) {
  for (int i = 0; i < 4; ++i) {
    const unsigned pair = columns >> (2 * quarter() + i / 2 * 8);
    a.x[i] &= (pair & 1 ? 0x0000ffffu : 0) | (pair & 2 ? 0xffff0000u : 0);
  }
  return a;
}
__device__ inline void keep_columns(Square& c, unsigned columns) {
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 4; ++i)
      if (!(columns >> column_of(n, i) & 1)) c.n[n].x[i] = 0;
}

__device__ inline void keep_rows(Square& c, unsigned rows) {
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 4; ++i)
      if (!(rows >> row_of(i) & 1)) c.n[n].x[i] = 0;
}

// c += a m^T, a and m (16, 64): sums over the channels.
__device__ inline void add_channel_sums(Square& c, const bfloat16* a, const bfloat16* m) {
#pragma unroll
  for (int j = 0; j < N; j += 16)
    multiply_add(c, left(a + j, pitch), right_transposed(m + j, pitch));
}

// c += x y^T for f32 x, and f32 y in shared memory (16, 16): each as the sum of two bf16, which
// leaves a relative error of 2^-16.
__device__ inline void multiply_add_wide(Square& c, const Square& x, const float* y, int row_step,
                                         int column_step) {
  Square rest;
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 4; ++i) rest.n[n].x[i] = x.n[n].x[i] - rounded(x.n[n].x[i]);
  SquareB high, low;
  for (int n = 0; n < 2; ++n)
    for (int i = 0; i < 2; ++i) {
      const float* at = y + (8 * n + group()) * row_step + (2 * quarter() + 8 * i) * column_step;
      const float first = at[0], second = at[column_step];
      high.n[n].x[i] = packed(first, second);
      low.n[n].x[i] = packed(first - rounded(first), second - rounded(second));
    }
  const FragmentA a = as_left(x);
  multiply_add(c, a, low);
  multiply_add(c, as_left(rest), high);
  multiply_add(c, a, high);
}

// Tokens of a chunk that forget the state before them, as bits, and what they let through.
struct Resets {
  unsigned at;

  static __device__ unsigned below(int t) { return (1u << t) - 1; }
  // No reset in (s, t].
  __device__ bool reaches(int s, int t) const { return !(at & below(t + 1) & ~below(s + 1)); }
  // Tokens t that see the state before the chunk in S_{t - shift}; and those seen behind the chunk.
  __device__ unsigned seeing(int shift) const {
    return at ? below(__ffs(int(at)) - 1 + shift) : 0xffffu;
  }
  __device__ unsigned seen() const {
    return at ? ~below(32 - __clz(int(at)) - 1) & 0xffffu : 0xffffu;
  }
  // Of token t reading S_{t - shift}: whether s is in it.
  __device__ bool keeps(int t, int s, int shift) const {
    return s <= t - shift && reaches(s, t - shift);
  }
};

// Read by every warp for itself from the decay logits of the chunk.
__device__ inline Resets resets_of(const bfloat16* d, int count) {
  const int t = lane() % chunk;
  const bool is = t < count && float(d[t * pitch]) == std::numeric_limits<float>::infinity();
  return {__ballot_sync(0xffffffffu, is) & 0xffffu};
}

// (16, 16) in bf16 of the kept elements of c; rows t read S_{t - shift}.
__device__ inline void store_kept(bfloat16* to, const Square& c, const Resets& resets, int shift) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const int t = row_of(i), s = column_of(n, 0);
      store_pair(to + t * pair_pitch + s, resets.keeps(t, s, shift) ? c.n[n].x[i] : 0,
                 resets.keeps(t, s + 1, shift) ? c.n[n].x[i + 1] : 0);
    }
}

// removal (16, 16) f32 in shared memory becomes (I - M)^{-1} for the strictly lower part M of c. By
// one warp, forward substitution of a column in each lane.
__device__ inline void invert(float* removal, const Square& c, const Resets& resets) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int t = row_of(i), s = column_of(n, i);
      removal[t * wide_pitch + s] = resets.keeps(t, s, 1) ? c.n[n].x[i] : 0;
    }
  __syncwarp();
  const int column = lane() % chunk;
  float x[chunk];
#pragma unroll
  for (int t = 0; t < chunk; ++t) {
    x[t] = t == column ? 1.0f : 0.0f;
#pragma unroll
    for (int s = 0; s < t; ++s) x[t] += removal[t * wide_pitch + s] * x[s];
  }
  __syncwarp();
  if (lane() < chunk)
#pragma unroll
    for (int t = 0; t < chunk; ++t) removal[t * wide_pitch + column] = x[t];
}

// Asks for `count` vectors of 64 channels, zeros behind them.
__device__ inline void fetch(bfloat16* to, const bfloat16* from, std::int64_t stride, int count) {
  const int t = int(threadIdx.x) / 8, j = int(threadIdx.x) % 8 * 8;
  const bool exists = t < count;
  copy_async(to + t * pitch + j, from + (exists ? t * stride + j : 0), exists ? 16 : 0);
}
static_assert(threads == chunk * N / 8);

// One half of a channel's tokens per thread, from the middle of the chunk outwards. Calls body(t,
// place, exp(x_t), exp(x_{t-1}), exp(-x_t)), writes x where wanted: x_t at (t + 1, channel), and
// totals: exp(g_7), and exp(g_15 - g_7) behind it.
template <typename Body>
__device__ void for_decays(const bfloat16* d, int count, float* totals, float* x_of, Body&& body) {
  const int j = int(threadIdx.x) % N;
  const bool first_half = int(threadIdx.x) < N;
  float x = 0, grown = 1, shrunk = 1;  // exp(x), exp(-x)
  if (x_of && first_half) x_of[8 * N + j] = 0;
#pragma unroll
  for (int i = 0; i < chunk / 2; ++i) {
    const int t = first_half ? 7 - i : 8 + i;
    const float logit = float(d[t * pitch + j]);
    const bool decays = t < count && logit != std::numeric_limits<float>::infinity();
    const float log_w = decays ? -wkv_decay_rate<float> * wkv_sigmoid(logit) : 0;
    x += first_half ? -log_w : log_w;
    const float next = std::exp(x), inverse = std::exp(-x);
    if (first_half)
      body(t, t * pitch + j, grown, next, shrunk);
    else
      body(t, t * pitch + j, next, grown, inverse);
    grown = next, shrunk = inverse;
    if (x_of) x_of[(first_half ? t : t + 1) * N + j] = x;
  }
  totals[first_half ? j : N + j] = first_half ? shrunk : grown;
}

// The state of a head in f32: a warp holds 16 rows (value channels) of all 64 columns.
struct State {
  FragmentC columns[N / 8] = {};

  static __device__ int row(int i) { return warp() * own + row_of(i); }
  template <typename Body>
  __device__ void each_pair(Body&& body) {  // body(two neighbours, offset of the first)
#pragma unroll
    for (int n = 0; n < N / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; i += 2) body(columns[n].x + i, row(i) * N + column_of(n, 0));
  }
  __device__ void load(const float* state) {
    each_pair([&](float* x, int offset) {
      const float2 pair =
          state ? *reinterpret_cast<const float2*>(state + offset) : make_float2(0, 0);
      x[0] = pair.x, x[1] = pair.y;
    });
  }
  __device__ void store(float* state) {
    each_pair([&](const float* x, int offset) {
      *reinterpret_cast<float2*>(state + offset) = make_float2(x[0], x[1]);
    });
  }
  __device__ void clear() {
    each_pair([](float* x, int) { x[0] = x[1] = 0; });
  }
  // (64, 64) in bf16 in shared memory.
  __device__ void share(bfloat16* to) {
    each_pair([&](const float* x, int offset) {
      store_pair(to + offset / N * pitch + offset % N, x[0], x[1]);
    });
  }
  // Times diag(factors).
  __device__ void scale(const float* factors) {
    each_pair([&](float* x, int offset) {
      x[0] *= factors[offset % N], x[1] *= factors[offset % N + 1];
    });
  }
  // += a m, a (own rows, 16 tokens), m (16 tokens, 64) in shared memory.
  __device__ void add(const FragmentA& a, const bfloat16* m) {
#pragma unroll
    for (int j = 0; j < N / 16; ++j) {
      const SquareB b = right(m + 16 * j, pitch);
      cuda::multiply_add(columns[2 * j], a, b.n[0]);
      cuda::multiply_add(columns[2 * j + 1], a, b.n[1]);
    }
  }
  // c (own rows, tokens) += this m^T, m (16 tokens, 64).
  __device__ void add_read_to(Square& c, const bfloat16* m) const {
#pragma unroll
    for (int j = 0; j < N / 16; ++j)
      multiply_add(c, as_left(columns[2 * j], columns[2 * j + 1]),
                   right_transposed(m + 16 * j, pitch));
  }
};

// c (own key channels, as columns) += a s, a (16 tokens, 64), s (64, 64) in shared memory.
__device__ inline void add_state_read(Square& c, const bfloat16* a, const bfloat16* s) {
#pragma unroll
  for (int j = 0; j < N; j += 16)
    multiply_add(c, left(a + j, pitch), right(s + j * pitch + warp() * own, pitch));
}
// c (own key channels, as columns) += pairs m, pairs (16, 16), m (16 tokens, 64).
__device__ inline void add_pairs(Square& c, const bfloat16* pairs, const bfloat16* m) {
  multiply_add(c, left(pairs, pair_pitch), right(m + warp() * own, pitch));
}
__device__ inline void add_transposed_pairs(Square& c, const bfloat16* pairs, const bfloat16* m) {
  multiply_add(c, left_transposed(pairs, pair_pitch), right(m + warp() * own, pitch));
}

// (own channels, tokens) pieces as (tokens, own channels) of bf16.
__device__ inline void transpose(bfloat16* to, int step, const Square& c) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i)
      to[column_of(n, i) * step + row_of(i)] = stored<bfloat16>(c.n[n].x[i]);
}

// c (own channels, tokens) to the vectors at `to` in global memory, by way of the warp's `tile`.
__device__ inline void store_own(bfloat16* to, std::int64_t stride, int count, const Square& c,
                                 bfloat16* tile) {
  __syncwarp();  // the tile has been read
  transpose(tile, pair_pitch, c);
  __syncwarp();
  const int t = lane() / 2, j = lane() % 2 * 8;
  if (t < count)
    *reinterpret_cast<float4*>(to + t * stride + warp() * own + j) =
        *reinterpret_cast<const float4*>(tile + t * pair_pitch + j);
}

// body(t, channel, element) for each of c (tokens, own channels).
template <typename Body>
__device__ void each_of_own(const Square& c, Body&& body) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) body(row_of(i), warp() * own + column_of(n, i), c.n[n].x[i]);
}

// A head of a sequence, in chunks.
struct Walk {
  WkvExtent extent;
  std::int64_t sequence, head;

  __device__ int tokens_of(std::int64_t index) const {
    const std::int64_t left = extent.tokens - index * chunk;
    return int(left < chunk ? left : chunk);
  }
  __device__ std::int64_t place(std::int64_t index) const {
    return extent.vector(sequence, index * chunk, head);
  }
  __device__ const float* saved_state(const float* checkpoints, std::int64_t group) const {
    return checkpoints + ((sequence * extent.heads + head) * saved_states(extent) + group) * N * N;
  }
  __device__ void fetch_vectors(bfloat16* to, const bfloat16* from, std::int64_t index) const {
    fetch(to, from + place(index), extent.stride(), tokens_of(index));
  }
};

template <typename Shared>
Grid grid_of(std::int64_t blocks) {
  return {.blocks = groups(blocks, 1), .threads = threads, .shared_bytes = sizeof(Shared)};
}

}  // namespace metascale::cuda::chunked
