// Vector scans of WKV7 in f32 for heads of N channels, N a multiple of the vector's lanes. Included by one
// file per instruction set; all is in an unnamed namespace, so that every file has its own copy.
//
// Forward and read-out keep the state as S[j][i], lanes along the value channel i: S a and S r are sums
// over j, without sums across lanes. One pass over S per token updates it, reads y_t = S_t r_t and already
// u_{t+1} = S_t a_{t+1}.
//
// The backward keeps S[i][j] and G[i][j], lanes along the key channel j: five of its seven sums are then
// sums over rows. It takes 8 rows at a time, rebuilds their states of one chunk from the checkpoint and
// walks back through the chunk in one pass per token, which ends token t and begins token t - 1: both meet
// S_{t-1}. The two sums along j, G k and G b, are 16 vectors of 8 rows, summed across lanes together.
#pragma once

#include <utility>

#include "kernels/cpu/wkv7_scan.hpp"

namespace metascale {
namespace {

constexpr int chunk = 16;     // wkv7_checkpoint
constexpr int tile_rows = 8;  // of the backward
constexpr float decay_rate = 0.6065306597126334f;  // e^{-1/2}

template <int Lanes>
struct VectorTypes {
  typedef float Value __attribute__((vector_size(Lanes * sizeof(float))));
  typedef float Memory
      __attribute__((vector_size(Lanes * sizeof(float)), aligned(alignof(float)), may_alias));
};
template <int Lanes>
using Vector = typename VectorTypes<Lanes>::Value;

template <int Lanes>
[[gnu::always_inline]] inline Vector<Lanes> load(const float* from) {
  return *reinterpret_cast<const typename VectorTypes<Lanes>::Memory*>(from);
}
template <int Lanes>
[[gnu::always_inline]] inline void store(float* to, Vector<Lanes> value) {
  *reinterpret_cast<typename VectorTypes<Lanes>::Memory*>(to) = value;
}

// Lanes l of the result, by bit Step of l:  exchange_low: a[l] or b[l - Step];  exchange_high: a[l + Step]
// or b[l]. Their use for all powers Step < Lanes transposes, and sums across lanes.
template <int Lanes, int Step, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes> exchange_low(Vector<Lanes> a, Vector<Lanes> b,
                                                         std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane - Step : Lane)...);
}
template <int Lanes, int Step, int... Lane>
[[gnu::always_inline]] inline Vector<Lanes> exchange_high(Vector<Lanes> a, Vector<Lanes> b,
                                                          std::integer_sequence<int, Lane...>) {
  return __builtin_shufflevector(a, b, ((Lane & Step) ? Lanes + Lane : Lane + Step)...);
}

// rows[0] = vector whose lane l is the sum of rows[l].
template <int Lanes, int Step = Lanes / 2>
[[gnu::always_inline]] inline void sum_lanes(Vector<Lanes> (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 8
  for (int row = 0; row < Step; ++row)
    rows[row] = exchange_low<Lanes, Step>(rows[row], rows[row + Step], lanes) +
                exchange_high<Lanes, Step>(rows[row], rows[row + Step], lanes);
  if constexpr (Step > 1) sum_lanes<Lanes, Step / 2>(rows);
}

template <int Lanes, int Step = Lanes / 2>
[[gnu::always_inline]] inline void transpose_rows(Vector<Lanes> (&rows)[Lanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
#pragma GCC unroll 16
  for (int row = 0; row < Lanes; ++row) {
    if (row & Step) continue;
    const Vector<Lanes> a = rows[row], b = rows[row + Step];
    rows[row] = exchange_low<Lanes, Step>(a, b, lanes);
    rows[row + Step] = exchange_high<Lanes, Step>(a, b, lanes);
  }
  if constexpr (Step > 1) transpose_rows<Lanes, Step / 2>(rows);
}

template <int Lanes, int N>
struct VectorScan {
  using V = Vector<Lanes>;
  static constexpr int vectors = N / Lanes;  // of one row
  static constexpr int at_most(int count) { return count < vectors ? count : vectors; }
  static constexpr int forward_block = at_most(Lanes == 16 ? 4 : 2);  // as many as registers hold
  static constexpr int backward_block = at_most(Lanes == 16 ? 2 : 1);

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

  // e^x for |x| <= 80, as kernels/cpu/vector_math.hpp does it: 2^n e^r, Taylor to r^7.
  static V exponential(V x) {
    typedef std::int32_t Bits __attribute__((vector_size(Lanes * sizeof(std::int32_t))));
    constexpr float rounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const V shifted = x * 1.44269504f + rounder, n = shifted - rounder;
    const V r = (x - n * 0.693145752f) - n * 1.42860677e-6f;  // ln 2 in two parts
    const Bits exponent = (reinterpret_cast<Bits>(shifted) << 23) + 0x3f800000;
    return taylor(r) * reinterpret_cast<V>(exponent);
  }

  static V taylor(V x) {  // of e^x, to x^7
    V p = x * (1.0f / 5040) + 1.0f / 720;
    p = p * x + 1.0f / 120;
    p = p * x + 1.0f / 24;
    p = p * x + 1.0f / 6;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    return p * x + 1.0f;
  }

  // e^{-rate sigma}: to the 9th power the series needs no range reduction, and it is 1 where sigma is 0.
  static V decay_of(V sigma) {
    const V x = sigma * -decay_rate;
    V p = x * (1.0f / 362880) + 1.0f / 40320;
    p = p * x + 1.0f / 5040;
    p = p * x + 1.0f / 720;
    p = p * x + 1.0f / 120;
    p = p * x + 1.0f / 24;
    p = p * x + 1.0f / 6;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    return p * x + 1.0f;
  }

  // w of `count` tokens, rows of N; dw/dd too where slope is not nullptr.
  static void decays(const float* d, std::int64_t stride, int count, float* w, float* slope) {
    constexpr float largest = 80;  // beyond it, w is 1 or its least value to the bit
    for (int t = 0; t < count; ++t)
      for (int j = 0; j < N; j += Lanes) {
        V x = -load<Lanes>(d + t * stride + j);
        x = x > largest ? V{} + largest : x;
        x = x < -largest ? V{} - largest : x;
        const V e = exponential(x), sigma = 1.0f / (1.0f + e);
        const V decay = decay_of(sigma);
        store<Lanes>(w + t * N + j, decay);
        // 1 - sigma = e sigma, without cancellation
        if (slope) store<Lanes>(slope + t * N + j, sigma * sigma * e * decay * -decay_rate);
      }
  }

  // y_i = sum_j S[j][i] x_j
  static void read(const float* state, const float* x, float* y) {
    for (int block = 0; block < vectors; block += forward_block) {
      V sum[forward_block] = {};
      for (int j = 0; j < N; ++j)
#pragma GCC unroll 4
        for (int q = 0; q < forward_block; ++q)
          sum[q] += load<Lanes>(state + j * N + (block + q) * Lanes) * x[j];
#pragma GCC unroll 4
      for (int q = 0; q < forward_block; ++q) store<Lanes>(y + (block + q) * Lanes, sum[q]);
    }
  }

  struct Token {
    const float *w, *b, *k, *u, *v;
  };

  // S = S diag(w) + u b^T + v k^T, and y[m] = S x[m] of the new state for every reader m.
  template <int Readers>
  static void step(float* state, const Token& token, const float* const (&x)[Readers],
                   float* const (&y)[Readers]) {
    for (int block = 0; block < vectors; block += forward_block) {
      V u[forward_block], v[forward_block], sum[Readers][forward_block] = {};
#pragma GCC unroll 4
      for (int q = 0; q < forward_block; ++q) {
        u[q] = load<Lanes>(token.u + (block + q) * Lanes);
        v[q] = load<Lanes>(token.v + (block + q) * Lanes);
      }
      for (int j = 0; j < N; ++j) {
        float* column = state + j * N + block * Lanes;
        const float w = token.w[j], b = token.b[j], k = token.k[j];
#pragma GCC unroll 4
        for (int q = 0; q < forward_block; ++q) {
          const V s = load<Lanes>(column + q * Lanes) * w + u[q] * b + v[q] * k;
          store<Lanes>(column + q * Lanes, s);
#pragma GCC unroll 2
          for (int m = 0; m < Readers; ++m) sum[m][q] += s * x[m][j];
        }
      }
#pragma GCC unroll 2
      for (int m = 0; m < Readers; ++m)
#pragma GCC unroll 4
        for (int q = 0; q < forward_block; ++q)
          store<Lanes>(y[m] + (block + q) * Lanes, sum[m][q]);
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
        decays(head.d + at, stride, int(left < chunk ? left : chunk), w, nullptr);
        if (head.checkpoints) transpose(head.checkpoints + t / chunk * N * N, state);
      }
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
    decays(part.d, stride, int(tokens), w, nullptr);
    // previous: the read-out of token t comes with the update by token t - 1.
    const std::int64_t ahead = part.current ? 0 : 1;
    if (!part.current) read(state, part.query, part.result.data);
    for (std::int64_t t = 0; t + ahead < tokens; ++t) {
      const std::int64_t at = t * stride, query_at = (t + ahead) * part.query_stride;
      step<1>(state, {w + t * N, part.b + at, part.k + at, part.u + at, part.v + at},
              {part.query + query_at}, {part.result.data + query_at});
    }
  }

  // Rows [0, tile_rows) of the state, backward_block vectors of each, in registers.
  struct Tile {
    V s[tile_rows][backward_block];

    void load_from(const float* rows) {
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < backward_block; ++q) s[row][q] = load<Lanes>(rows + row * N + q * Lanes);
    }
    void store_to(float* rows) const {
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < backward_block; ++q) store<Lanes>(rows + row * N + q * Lanes, s[row][q]);
    }
    // w, b, k: at the tile's first key channel;  u, v: at its first row.
    void update(const Token& token) {
      V w[backward_block], b[backward_block], k[backward_block];
#pragma GCC unroll 2
      for (int q = 0; q < backward_block; ++q) {
        w[q] = load<Lanes>(token.w + q * Lanes);
        b[q] = load<Lanes>(token.b + q * Lanes);
        k[q] = load<Lanes>(token.k + q * Lanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row) {
        const float u = token.u[row], v = token.v[row];
#pragma GCC unroll 2
        for (int q = 0; q < backward_block; ++q) s[row][q] = s[row][q] * w[q] + b[q] * u + k[q] * v;
      }
    }
    // sums_j += sum over rows of s x_row
    void add_to(float* sums, const float* x) const {
      V sum[backward_block];
#pragma GCC unroll 2
      for (int q = 0; q < backward_block; ++q) sum[q] = load<Lanes>(sums + q * Lanes);
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < backward_block; ++q) sum[q] += s[row][q] * x[row];
#pragma GCC unroll 2
      for (int q = 0; q < backward_block; ++q) store<Lanes>(sums + q * Lanes, sum[q]);
    }
  };
  static constexpr int tile_columns = backward_block * Lanes;

  static void add_rows(const WkvGradient<float>& to, std::int64_t stride, std::int64_t tokens,
                       const float* rows) {
    for (std::int64_t t = 0; t < tokens; ++t)
      for (int j = 0; j < N; j += Lanes) {
        float* target = to.data + t * stride + j;
        const V value = load<Lanes>(rows + t * N + j);
        store<Lanes>(target, to.fresh ? value : load<Lanes>(target) + value);
      }
  }

  static void query_backward(const WkvChunk<float>& part) {
    alignas(64) float w[chunk * N], dq[chunk * N] = {};
    const auto [tokens, size, stride] = part.extent;
    decays(part.d, stride, int(tokens), w, nullptr);
    for (int j = 0; j < N; j += tile_columns)
      for (int i = 0; i < N; i += tile_rows) {
        Tile tile;
        tile.load_from(part.checkpoint + i * N + j);
        for (std::int64_t t = 0; t < tokens; ++t) {
          const std::int64_t at = t * stride;
          const float* de = part.query + t * part.query_stride + i;
          if (!part.current) tile.add_to(dq + t * N + j, de);
          tile.update({w + t * N + j, part.b + at + j, part.k + at + j, part.u + at + i,
                       part.v + at + i});
          if (part.current) tile.add_to(dq + t * N + j, de);
        }
      }
    add_rows(part.result, part.query_stride, tokens, dq);
  }

  // Sums over the rows of the state, for the tokens of one chunk.
  struct RowSums {
    alignas(64) float dr[chunk * N] = {}, dw[chunk * N] = {}, dk[chunk * N] = {}, da[chunk * N] = {},
                      db[chunk * N] = {};
  };

  // One token of a chunk, for `tile_rows` rows of the state.
  struct BackwardToken {
    const float *w, *r, *k, *a, *b;  // (N)
    const float *v, *u, *dy;         // at the first row
    float *dr, *dw, *dk, *da, *db;   // (N) sums over rows
  };

  // Ends token t = ended (dw, da, G to before it) and begins token t - 1 = begun (dy's part of G; dr, dk,
  // db, dv and du). state: tile_rows rows of S_{t-1}. dots: first dv, then du of the begun token; on
  // entry du of the ended one. The second read-out comes between them: of t if previous, of t - 1 if not.
  template <bool Ends, bool Begins, bool Query>
  static void backward_step(const BackwardToken& ended, const BackwardToken& begun, const float* q_row,
                            const float* de, const float* state, float* gradient, float* dots) {
    V partial[2 * tile_rows];
    const float* du = dots + tile_rows;
    for (int j = 0; j < N; j += tile_columns) {
      V dw[backward_block], da[backward_block], dr[backward_block], dk[backward_block],
          db[backward_block];
#pragma GCC unroll 2
      for (int q = 0; q < backward_block; ++q) {
        const int at = j + q * Lanes;
        if constexpr (Ends) dw[q] = load<Lanes>(ended.dw + at), da[q] = load<Lanes>(ended.da + at);
        if constexpr (Begins)
          dr[q] = load<Lanes>(begun.dr + at), dk[q] = load<Lanes>(begun.dk + at),
          db[q] = load<Lanes>(begun.db + at);
      }
#pragma GCC unroll 1
      for (int row = 0; row < tile_rows; ++row) {
        V dot_k = {}, dot_b = {};
#pragma GCC unroll 2
        for (int q = 0; q < backward_block; ++q) {
          const int at = j + q * Lanes;
          const V s = load<Lanes>(state + row * N + at);
          V g = load<Lanes>(gradient + row * N + at);
          if constexpr (Ends) {
            dw[q] += s * g;
            da[q] += s * du[row];
            g = g * load<Lanes>(ended.w + at) + load<Lanes>(ended.a + at) * du[row];
          }
          if constexpr (Query) g += load<Lanes>(q_row + at) * de[row];
          if constexpr (Begins) {
            dr[q] += s * begun.dy[row];
            g += load<Lanes>(begun.r + at) * begun.dy[row];
            dk[q] += g * begun.v[row];
            db[q] += g * begun.u[row];
            dot_k += g * load<Lanes>(begun.k + at);
            dot_b += g * load<Lanes>(begun.b + at);
          }
          store<Lanes>(gradient + row * N + at, g);
        }
        if constexpr (Begins) {
          partial[row] = j ? partial[row] + dot_k : dot_k;
          partial[tile_rows + row] = j ? partial[tile_rows + row] + dot_b : dot_b;
        }
      }
#pragma GCC unroll 2
      for (int q = 0; q < backward_block; ++q) {
        const int at = j + q * Lanes;
        if constexpr (Ends) store<Lanes>(ended.dw + at, dw[q]), store<Lanes>(ended.da + at, da[q]);
        if constexpr (Begins)
          store<Lanes>(begun.dr + at, dr[q]), store<Lanes>(begun.dk + at, dk[q]),
          store<Lanes>(begun.db + at, db[q]);
      }
    }
    if constexpr (Begins) sum_dots(partial, dots);
  }

  static void sum_dots(V (&partial)[2 * tile_rows], float* dots) {
    for (int first = 0; first < 2 * tile_rows; first += Lanes) {
      V rows[Lanes];
#pragma GCC unroll 16
      for (int row = 0; row < Lanes; ++row) rows[row] = partial[first + row];
      sum_lanes<Lanes>(rows);
      store<Lanes>(dots + first, rows[0]);
    }
  }

  // What a chunk's tiles share.
  struct Chunk {
    const WkvBackwardHead<float>& head;
    std::int64_t first;
    int count;
    const float* w;
    RowSums& sums;

    BackwardToken token(int t, int i) const {
      const std::int64_t at = (first + t) * head.extent.stride;
      return {w + t * N,         head.r + at,      head.k + at,      head.a + at,
              head.b + at,       head.v + at + i,  head.u + at + i,  head.dy + at + i,
              sums.dr + t * N,   sums.dw + t * N,  sums.dk + t * N,  sums.da + t * N,
              sums.db + t * N};
    }
    const float* query(const float* of, int t) const {
      return of + (first + t) * head.query_stride;
    }
  };

  // states[t]: tile_rows rows, from row i, of the state before token t of the chunk.
  static void rebuild(const Chunk& part, int i, float* states) {
    const WkvBackwardHead<float>& head = part.head;
    const float* checkpoint = head.checkpoints + part.first / chunk * N * N;
    for (int j = 0; j < N; j += tile_columns) {
      Tile tile;
      tile.load_from(checkpoint + i * N + j);
      tile.store_to(states + j);
      for (int t = 0; t < part.count; ++t) {
        const std::int64_t at = (part.first + t) * head.extent.stride;
        tile.update({part.w + t * N + j, head.b + at + j, head.k + at + j, head.u + at + i,
                     head.v + at + i});
        tile.store_to(states + (t + 1) * tile_rows * N + j);
      }
    }
  }

  template <bool Query>
  static void walk_back(const Chunk& part, int i, const float* states, float* gradient) {
    const WkvBackwardHead<float>& head = part.head;
    alignas(64) float dots[2 * tile_rows] = {};
    for (int t = part.count; t >= 0; --t) {
      const bool ends = t < part.count, begins = t > 0;
      const BackwardToken ended = part.token(ends ? t : t - 1, i);
      const BackwardToken begun = part.token(begins ? t - 1 : t, i);
      const float* state = states + t * tile_rows * N;
      const float *q = nullptr, *de = nullptr;
      const int read_by = head.current ? t - 1 : t;
      const bool reads = Query && read_by >= 0 && read_by < part.count;
      if (reads) q = part.query(head.q, read_by), de = part.query(head.de, read_by) + i;
      if (ends && begins)
        backward_step<true, true, Query>(ended, begun, q, de, state, gradient, dots);
      else if (begins && reads)
        backward_step<false, true, true>(ended, begun, q, de, state, gradient, dots);
      else if (begins)
        backward_step<false, true, false>(ended, begun, q, de, state, gradient, dots);
      else if (reads)
        backward_step<true, false, true>(ended, begun, q, de, state, gradient, dots);
      else
        backward_step<true, false, false>(ended, begun, q, de, state, gradient, dots);
      if (begins) {
        float* dv = head.dv.data + (part.first + t - 1) * head.extent.stride + i;
        for (int row = 0; row < tile_rows; ++row)
          dv[row] = head.dv.fresh ? dots[row] : dv[row] + dots[row];
      }
    }
  }

  static void backward(const WkvBackwardHead<float>& head) {
    alignas(64) float gradient[N * N], states[(chunk + 1) * tile_rows * N], w[chunk * N],
        slope[chunk * N];
    const std::int64_t tokens = head.extent.tokens, stride = head.extent.stride;
    for (int e = 0; e < N * N; ++e) gradient[e] = head.dfinal_state ? head.dfinal_state[e] : 0;
    for (std::int64_t first = (tokens - 1) / chunk * chunk; first >= 0; first -= chunk) {
      const int count = int(tokens - first < chunk ? tokens - first : chunk);
      decays(head.d + first * stride, stride, count, w, slope);
      RowSums sums;
      const Chunk part{head, first, count, w, sums};
      for (int i = 0; i < N; i += tile_rows) {
        rebuild(part, i, states);
        if (head.q)
          walk_back<true>(part, i, states, gradient + i * N);
        else
          walk_back<false>(part, i, states, gradient + i * N);
      }
      for (int e = 0; e < count * N; ++e) sums.dw[e] *= slope[e];
      store_sums(part);
    }
    if (head.dinitial_state.data) add_rows(head.dinitial_state, N, N, gradient);
  }

  static void store_sums(const Chunk& part) {
    const WkvBackwardHead<float>& head = part.head;
    const std::int64_t stride = head.extent.stride;
    const auto add = [&](const WkvGradient<float>& to, const float* rows) {
      add_rows({to.data + part.first * stride, to.fresh}, stride, part.count, rows);
    };
    add(head.dr, part.sums.dr);
    add(head.dd, part.sums.dw);
    add(head.dk, part.sums.dk);
    add(head.da, part.sums.da);
    add(head.db, part.sums.db);
  }

  static constexpr WkvScan<float> functions = {forward, read_out, query_backward, backward};
};

template <int Lanes>
const WkvScan<float>* vector_scan(std::int64_t size) {
  switch (size) {
    case 16: return &VectorScan<Lanes, 16>::functions;
    case 32: return &VectorScan<Lanes, 32>::functions;
    case 64: return &VectorScan<Lanes, 64>::functions;
    case 128: return &VectorScan<Lanes, 128>::functions;
    default: return nullptr;
  }
}

}  // namespace
}  // namespace metascale
