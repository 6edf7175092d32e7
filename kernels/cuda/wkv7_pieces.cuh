// What the chunked forms of WKV7 share: heads of 64 channels, chunks of 16 tokens, products of 16 x
// 16 pieces of bf16 matrices in shared memory, and a chunk's vectors scaled by its decays.
//
// With g_t the sum of log w up to token t of a chunk and x_t = g_t - g_7, a pair of tokens t >= s
// needs exp(g_t - g_s) = exp(x_t) exp(-x_s). Since log w lies in [-e^{-1/2}, 0], x_t is the sum of
// at most 8 of them: |x| <= 8 e^{-1/2} = 4.86, and every factor lies in [1 / 129, 129]: nothing
// overflows or dies, and bf16 keeps its 8 bits. A token with w = 0 (all its channels) counts as w =
// 1 here; pairs of tokens on both sides of it are left out by masks.
#pragma once

#include "kernels/cuda/pieces.cuh"
#include "kernels/cuda/wkv7_chunked.hpp"
#include "kernels/cuda/wkv7_operands.cuh"

namespace metascale::cuda::chunked {

inline constexpr int N = 64, warps = 4, threads = warps * warp_size;
inline constexpr int pitch = N + 8;           // of (16, 64) bf16: rows of a fragment in other banks
inline constexpr int pair_pitch = chunk + 8;  // of (16, 16) bf16
inline constexpr int wide_pitch = chunk + 4;  // of (16, 16) f32
inline constexpr int vectors = chunk * pitch, pairs = chunk * pair_pitch;  // elements
inline constexpr int own = N / warps;                                      // channels of a warp: 16
inline constexpr int saved_chunks =
    int(wkv7_chunked_checkpoint) / chunk;  // from a state to the next

__device__ inline std::int64_t saved_states(const WkvExtent& extent) {
  return (extent.chunks() - 1) / saved_chunks + 1;
}

// The columns of a whose bits are set; zeros elsewhere.
__device__ inline FragmentA with_columns(FragmentA a, unsigned columns) {
  if (columns == 0xffffu) return a;
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
  // Tokens t that see the state before the chunk in S_{t - shift}; and those seen behind the chunk.
  __device__ unsigned seeing(int shift) const {
    return at ? below(__ffs(int(at)) - 1 + shift) : 0xffffu;
  }
  __device__ unsigned seen() const {
    return at ? ~below(32 - __clz(int(at)) - 1) & 0xffffu : 0xffffu;
  }
  // Of token t reading S_{t - shift}: the tokens that are in it.
  __device__ unsigned kept(int t, int shift) const {
    const unsigned past = below(t - shift + 1), before = at & past;
    return before ? past & ~below(31 - __clz(int(before))) : past;
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
  for (int i = 0; i < 4; i += 2) {
    const int t = row_of(i);
    const unsigned kept = resets.kept(t, shift);
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const int s = column_of(n, 0);
      store_pair(to + t * pair_pitch + s, kept >> s & 1 ? c.n[n].x[i] : 0,
                 kept >> s & 2 ? c.n[n].x[i + 1] : 0);
    }
  }
}

// removal (16, 16) f32 in shared memory, on 16 bytes, becomes (I - M)^{-1} for the strictly lower
// part M of c. By one warp, forward substitution of a column in each lane, four columns of M at a
// time.
__device__ inline void invert(float* removal, const Square& c, const Resets& resets) {
#pragma unroll
  for (int i = 0; i < 4; i += 2) {
    const int t = row_of(i);
    const unsigned kept = resets.kept(t, 1);
#pragma unroll
    for (int n = 0; n < 2; ++n) {
      const int s = column_of(n, 0);
      *reinterpret_cast<float2*>(removal + t * wide_pitch + s) =
          make_float2(kept >> s & 1 ? c.n[n].x[i] : 0, kept >> s & 2 ? c.n[n].x[i + 1] : 0);
    }
  }
  __syncwarp();
  const int column = lane() % chunk;
  float x[chunk];
#pragma unroll
  for (int t = 0; t < chunk; ++t) x[t] = t == column ? 1.0f : 0.0f;
#pragma unroll
  for (int first = 0; first < chunk; first += 4)
#pragma unroll
    for (int t = first + 1; t < chunk; ++t) {
      const float4 m = *reinterpret_cast<const float4*>(removal + t * wide_pitch + first);
      x[t] += m.x * x[first];
      if (first + 1 < t) x[t] += m.y * x[first + 1];
      if (first + 2 < t) x[t] += m.z * x[first + 2];
      if (first + 3 < t) x[t] += m.w * x[first + 3];
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

// to = from times factors, two neighbours.
__device__ inline void store_scaled(bfloat16* to, const bfloat16* from, float2 factors) {
  const float2 pair = load_pair(from);
  store_pair(to, pair.x * factors.x, pair.y * factors.y);
}

// log2 w of two neighbours of a token; 0 for one that forgets, and behind the last.
__device__ inline float2 log2_decays(const bfloat16* logits, bool exists) {
  constexpr float rate = -wkv_decay_rate<float> * log2_e;
  const auto of = [&](float logit) {
    const bool decays = exists && logit != std::numeric_limits<float>::infinity();
    return decays ? rate * sigmoid<bfloat16>(logit) : 0;
  };
  const float2 pair = load_pair(logits);
  return make_float2(of(pair.x), of(pair.y));
}

// Two channels of four tokens per thread, from the middle of the chunk outwards: a warp has 32
// channels of the first or the second eight tokens, and its lanes from 16 on the outer four. Calls
// body(place, 2^{x_t}, 2^{x_{t-1}}, 2^{-x_t}), where x counts in powers of two; writes x where
// wanted: x_t at (t + 1, channel); and totals: e^{g_7}, and e^{g_15 - g_7} behind it.
template <typename Body>
__device__ void for_decays(const bfloat16* d, int count, float* totals, float* x_of, Body&& body) {
  constexpr int tokens = chunk / 4;
  const bool first_half = warp() < 2, outer = lane() >= 16;
  const int j = warp() % 2 * 32 + lane() % 16 * 2;
  const int first = (first_half ? 7 : 8) + (outer ? (first_half ? -tokens : tokens) : 0);
  const auto token = [&](int i) { return first_half ? first - i : first + i; };
  float2 steps[tokens], x = make_float2(0, 0);  // steps: from an x to the next
#pragma unroll
  for (int i = 0; i < tokens; ++i) {
    const float2 log2_w = log2_decays(d + token(i) * pitch + j, token(i) < count);
    steps[i] = first_half ? make_float2(-log2_w.x, -log2_w.y) : log2_w;
    x.x += steps[i].x, x.y += steps[i].y;
  }
  x.x = __shfl_xor_sync(0xffffffffu, x.x, 16);
  x.y = __shfl_xor_sync(0xffffffffu, x.y, 16);
  if (!outer) x = make_float2(0, 0);
  float2 grown = make_float2(power_of_two(x.x), power_of_two(x.y));
  float2 shrunk = make_float2(power_of_two(-x.x), power_of_two(-x.y));
  if (x_of && first_half && !outer) *reinterpret_cast<float2*>(x_of + 8 * N + j) = x;
#pragma unroll
  for (int i = 0; i < tokens; ++i) {
    const int t = token(i);
    x.x += steps[i].x, x.y += steps[i].y;
    const float2 next = make_float2(power_of_two(x.x), power_of_two(x.y));
    const float2 inverse = make_float2(power_of_two(-x.x), power_of_two(-x.y));
    if (first_half)
      body(t * pitch + j, grown, next, shrunk);
    else
      body(t * pitch + j, next, grown, inverse);
    grown = next, shrunk = inverse;
    if (x_of) *reinterpret_cast<float2*>(x_of + (first_half ? t : t + 1) * N + j) = x;
  }
  if (outer)
    *reinterpret_cast<float2*>(totals + (first_half ? j : N + j)) = first_half ? shrunk : grown;
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

// c (own channels, tokens) added to the vectors at `to` in global memory.
__device__ inline void add_own(bfloat16* to, std::int64_t stride, int count, const Square& c) {
  const bool odd = group() % 2 == 1;  // neighbouring channels are rows of neighbouring groups
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
      const float* x = c.n[n].x + i;
      const float other = __shfl_xor_sync(0xffffffffu, odd ? x[0] : x[1], 4);
      const int t = column_of(n, odd), j = warp() * own + row_of(i) - odd;
      if (t < count)
        add_pair_to(to + t * stride + j, odd ? other : x[0], odd ? x[1] : other, false);
    }
}

// body(t, channel, n, i) for each pair of neighbours of a product (tokens, own channels): the
// elements i and i + 1 of its part n.
template <typename Body>
__device__ void each_pair_of_own(Body&& body) {
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 4; i += 2) body(row_of(i), warp() * own + column_of(n, 0), n, i);
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
  // The vector of a chunk's token t, a line of memory, will be fetched soon.
  __device__ void prefetch_vector(const bfloat16* from, std::int64_t index, int t) const {
    if (t < tokens_of(index)) prefetch(from + place(index) + t * extent.stride());
  }
};

template <typename Shared>
Grid grid_of(std::int64_t blocks) {
  return {.blocks = groups(blocks, 1), .threads = threads, .shared_bytes = sizeof(Shared)};
}

}  // namespace metascale::cuda::chunked
