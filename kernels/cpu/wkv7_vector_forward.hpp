// WKV7's forward and its second read-out keep the state as S[j][i], lanes along the value channel
// i: S a and S r are sums over j, without sums across lanes. One pass over S per token updates it,
// reads y_t = S_t r_t and already u_{t+1} = S_t a_{t+1}.
#pragma once

#include "kernels/cpu/wkv7_decays.hpp"
#include "kernels/cpu/wkv7_scan.hpp"

namespace metascale {
namespace {

template <int Lanes, int N>
struct ForwardScan {
  using V = Vector<Lanes>;
  static constexpr int vectors = N / Lanes;  // of one row
  static constexpr int at_most(int count) { return count < vectors ? count : vectors; }
  static constexpr int block_vectors = at_most(Lanes == 16 ? 4 : 2);  // as many as registers hold

  // N rows of N, S^T from S.
  static void transpose(float* to, const float* from) {
    for (int i = 0; i < N; i += Lanes)
      for (int j = 0; j < N; j += Lanes) {
        V rows[Lanes];
#pragma GCC unroll 16
        for (int row = 0; row < Lanes; ++row) rows[row] = load<Lanes>(from + (i + row) * N + j);
        transpose_rows<Lanes>(rows);
#pragma GCC unroll 16
        for (int row = 0; row < Lanes; ++row) store<Lanes>(to + (j + row) * N + i, rows[row]);
      }
  }

  // y_i = sum_j S[j][i] x_j
  static void read(const float* state, const float* x, float* y) {
    for (int block = 0; block < vectors; block += block_vectors) {
      V sum[block_vectors] = {};
      for (int j = 0; j < N; ++j)
#pragma GCC unroll 4
        for (int q = 0; q < block_vectors; ++q)
          sum[q] += load<Lanes>(state + j * N + (block + q) * Lanes) * x[j];
#pragma GCC unroll 4
      for (int q = 0; q < block_vectors; ++q) store<Lanes>(y + (block + q) * Lanes, sum[q]);
    }
  }

  struct Token {
    const float *w, *b, *k, *u, *v;
  };

  // S = S diag(w) + u b^T + v k^T, and y[m] = S x[m] of the new state for every reader m.
  template <int Readers>
  static void step(float* state, const Token& token, const float* const (&x)[Readers],
                   float* const (&y)[Readers]) {
    for (int block = 0; block < vectors; block += block_vectors) {
      V u[block_vectors], v[block_vectors], sum[Readers][block_vectors] = {};
#pragma GCC unroll 4
      for (int q = 0; q < block_vectors; ++q) {
        u[q] = load<Lanes>(token.u + (block + q) * Lanes);
        v[q] = load<Lanes>(token.v + (block + q) * Lanes);
      }
      for (int j = 0; j < N; ++j) {
        float* column = state + j * N + block * Lanes;
        const float w = token.w[j], b = token.b[j], k = token.k[j];
#pragma GCC unroll 4
        for (int q = 0; q < block_vectors; ++q) {
          const V s = load<Lanes>(column + q * Lanes) * w + u[q] * b + v[q] * k;
          store<Lanes>(column + q * Lanes, s);
#pragma GCC unroll 2
          for (int m = 0; m < Readers; ++m) sum[m][q] += s * x[m][j];
        }
      }
#pragma GCC unroll 2
      for (int m = 0; m < Readers; ++m)
#pragma GCC unroll 4
        for (int q = 0; q < block_vectors; ++q) store<Lanes>(y[m] + (block + q) * Lanes, sum[m][q]);
    }
  }

  // Heads alternate in memory, so that the hardware does not see what comes next.
  static constexpr std::int64_t prefetch_tokens = 8;
  static void prefetch(const WkvForwardHead<float>& head, std::int64_t t) {
    if (t >= head.extent.tokens) return;
    const std::int64_t at = t * head.extent.stride;
    for (int j = 0; j < N; j += 16) {
      for (const float* row : {head.r, head.d, head.k, head.v, head.a, head.b})
        __builtin_prefetch(row + at + j);
      __builtin_prefetch(head.y + at + j, 1);
      if (head.u) __builtin_prefetch(head.u + at + j, 1);
    }
  }

  static void forward(const WkvForwardHead<float>& head) {
    alignas(64) float state[N * N], w[chunk * N], u[2][N];
    const auto [tokens, size, stride] = head.extent;
    if (head.initial_state)
      transpose(state, head.initial_state);
    else
      for (int e = 0; e < N * N; ++e) state[e] = 0;
    read(state, head.a, u[0]);
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t at = t * stride, left = tokens - t;
      const int local = int(t % chunk);
      if (local == 0) {
        for (int next = 0; next < chunk && next < left; ++next)
          decays<Lanes, N>(head.d + at + next * stride, w + next * N, nullptr);
        if (head.checkpoints) transpose(head.checkpoints + t / chunk * N * N, state);
      }
      prefetch(head, t + prefetch_tokens);
      float *const now = u[t % 2], *const next = u[(t + 1) % 2];
      const float* const after = left > 1 ? head.a + at + stride : head.a + at;
      step<2>(state, {w + local * N, head.b + at, head.k + at, now, head.v + at},
              {head.r + at, after}, {head.y + at, next});
      if (head.u)
        for (int i = 0; i < N; ++i) head.u[at + i] = now[i];
    }
    if (head.final_state) transpose(head.final_state, state);
  }

  static void read_out(const WkvChunk<float>& part) {
    alignas(64) float state[N * N], w[chunk * N];
    const auto [tokens, size, stride] = part.extent;
    transpose(state, part.checkpoint);
    for (std::int64_t t = 0; t < tokens; ++t)
      decays<Lanes, N>(part.d + t * stride, w + t * N, nullptr);
    // previous: the read-out of token t comes with the update by token t - 1.
    const std::int64_t ahead = part.current ? 0 : 1;
    if (!part.current) read(state, part.query, part.result.data);
    for (std::int64_t t = 0; t + ahead < tokens; ++t) {
      const std::int64_t at = t * stride, query_at = (t + ahead) * part.query_stride;
      step<1>(state, {w + t * N, part.b + at, part.k + at, part.u + at, part.v + at},
              {part.query + query_at}, {part.result.data + query_at});
    }
  }
};

}  // namespace
}  // namespace metascale
