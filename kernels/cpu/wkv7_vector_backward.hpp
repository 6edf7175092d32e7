// WKV7's backward keeps S[i][j] and G[i][j], lanes along the key channel j: five of its seven sums
// are then sums over rows. A segment's operands are copied side by side first: heads alternate in
// memory, and their tokens would compete for the same lines of L1.
//
// It takes `tile_rows` rows through the `segment` tokens at a time, which fits in L1: rebuilds
// their states forward, and walks back in one pass per token, which ends token t and begins token t
// - 1, because both meet S_{t-1}. The two sums along j, G k and G b of 8 rows, are 16 vectors
// summed across lanes together.
#pragma once

#include "kernels/cpu/wkv7_decays.hpp"
#include "kernels/cpu/wkv7_scan.hpp"

namespace metascale {
namespace {

constexpr int segment = 8;    // tokens
constexpr int tile_rows = 8;  // of the state

enum class SecondRead { none, previous, current };

template <int Lanes, int N>
struct BackwardScan {
  using V = Vector<Lanes>;
  static constexpr int vectors = N / Lanes;  // of one row
  static constexpr int tile_vectors =
      Lanes == 16 && vectors > 1 ? 2 : 1;  // as many as registers hold
  static constexpr int tile_columns = tile_vectors * Lanes;

  static void copy_row(float* to, const float* from) {
    for (int j = 0; j < N; j += Lanes) store<Lanes>(to + j, load<Lanes>(from + j));
  }
  static void add_row(float* to, const float* from, bool fresh) {
    for (int j = 0; j < N; j += Lanes) {
      const V value = load<Lanes>(from + j);
      store<Lanes>(to + j, fresh ? value : load<Lanes>(to + j) + value);
    }
  }

  // What moves the state over one token:  S = S diag(w) + u b^T + v k^T
  struct Move {
    const float *w, *b, *k, *u, *v;
  };

  // tile_rows rows of the state, tile_columns columns of each, in registers.
  struct Tile {
    V s[tile_rows][tile_vectors];

    void load_from(const float* rows) {
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) s[row][q] = load<Lanes>(rows + row * N + q * Lanes);
    }
    void store_to(float* rows) const {
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) store<Lanes>(rows + row * N + q * Lanes, s[row][q]);
    }
    // The tile begins at row i, column j.
    void update(const Move& move, int i, int j) {
      const float *const u_row = move.u + i, *const v_row = move.v + i;
      V w[tile_vectors], b[tile_vectors], k[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) {
        w[q] = load<Lanes>(move.w + j + q * Lanes);
        b[q] = load<Lanes>(move.b + j + q * Lanes);
        k[q] = load<Lanes>(move.k + j + q * Lanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row) {
        const float u = u_row[row], v = v_row[row];
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) s[row][q] = s[row][q] * w[q] + b[q] * u + k[q] * v;
      }
    }
    // sums_j = sum over rows of s x_row, or += where not fresh
    void add_to(float* sums, const float* x, bool fresh) const {
      V sum[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) sum[q] = fresh ? V{} : load<Lanes>(sums + q * Lanes);
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) sum[q] += s[row][q] * x[row];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) store<Lanes>(sums + q * Lanes, sum[q]);
    }
  };

  static void prefetch(const float* from, std::int64_t stride, int count) {
    for (int t = 0; t < count; ++t)
      for (int j = 0; j < N; j += 16) __builtin_prefetch(from + t * stride + j);
  }

  // The vectors of a token lie side by side: arrays of as many tokens would meet in the same few
  // sets of L1.
  struct alignas(64) QueryToken {
    float w[N], b[N], k[N], u[N], v[N], de[N], dq[N];
    Move move() const { return {w, b, k, u, v}; }
  };

  static void query_backward(const WkvChunk<float>& part) {
    QueryToken tokens[chunk];
    const std::int64_t stride = part.extent.stride;
    const int count = int(part.extent.tokens);
    for (const float* rows : {part.b, part.k, part.u, part.v}) prefetch(rows, stride, count);
    for (int t = 0; t < count; ++t) {
      QueryToken& token = tokens[t];
      const std::int64_t at = t * stride;
      decays<Lanes, N>(part.d + at, token.w, nullptr);
      copy_row(token.b, part.b + at);
      copy_row(token.k, part.k + at);
      copy_row(token.u, part.u + at);
      copy_row(token.v, part.v + at);
      copy_row(token.de, part.query + t * part.query_stride);
    }
    for (int j = 0; j < N; j += tile_columns)
      for (int i = 0; i < N; i += tile_rows) {
        Tile tile;
        tile.load_from(part.checkpoint + i * N + j);
        for (int t = 0; t < count; ++t) {
          QueryToken& token = tokens[t];
          if (!part.current) tile.add_to(token.dq + j, token.de + i, i == 0);
          tile.update(token.move(), i, j);
          if (part.current) tile.add_to(token.dq + j, token.de + i, i == 0);
        }
      }
    for (int t = 0; t < count; ++t)
      add_row(part.result.data + t * part.query_stride, tokens[t].dq, part.result.fresh);
  }

  static constexpr int segments = chunk / segment;

  // A token of a segment. w and slope, dw/dd, are those of its place in each segment of the chunk.
  struct alignas(64) Token {
    float b[N], k[N], u[N], v[N], r[N], a[N], dy[N], q[N], de[N];
    float dr[N], dw[N], dk[N], da[N], db[N];  // sums over rows of the state
    float dv[N];
    float w[segments][N], slope[segments][N];
    Move move(int part) const { return {w[part], b, k, u, v}; }
  };

  // Of segment `part`. state: tile_rows rows of the state before token t (after token t - 1), from
  // row i; gradient: those of G. Ends token t (dw, da, and G moves before it; needs du of t) and
  // begins token t - 1 (dy's part of G; dr, dk, db, dv, and du for the next call). The second
  // read-out comes between the two: that of t if previous, that of t - 1 if current.
  template <bool Ends, bool Begins, SecondRead Read>
  static void step(Token* tokens, int part, int t, int i, const float* state, float* gradient,
                   float* du) {
    constexpr bool query =
        (Read == SecondRead::previous && Ends) || (Read == SecondRead::current && Begins);
    Token& now = tokens[Ends ? t : t - 1];
    Token& before = tokens[Begins ? t - 1 : t];
    const Token& asked = Read == SecondRead::previous ? now : before;
    const float* const w = now.w[part];
    const float *const dy = before.dy + i, *const v = before.v + i, *const u = before.u + i,
                       *const de = asked.de + i;
    const bool fresh = i == 0;
    V dots[2 * tile_rows];  // per row: of G k, then of G b
    for (int j = 0; j < N; j += tile_columns) {
      V sum_dw[tile_vectors], sum_da[tile_vectors], sum_dr[tile_vectors], sum_dk[tile_vectors],
          sum_db[tile_vectors];
      V w_j[tile_vectors], a_j[tile_vectors], r_j[tile_vectors], k_j[tile_vectors],
          b_j[tile_vectors], q_j[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) {
        const int at = j + q * Lanes;
        const auto sum = [&](const float* sums) { return fresh ? V{} : load<Lanes>(sums + at); };
        if constexpr (Ends) {
          sum_dw[q] = sum(now.dw), sum_da[q] = sum(now.da);
          w_j[q] = load<Lanes>(w + at), a_j[q] = load<Lanes>(now.a + at);
        }
        if constexpr (Begins) {
          sum_dr[q] = sum(before.dr), sum_dk[q] = sum(before.dk), sum_db[q] = sum(before.db);
          r_j[q] = load<Lanes>(before.r + at), k_j[q] = load<Lanes>(before.k + at);
          b_j[q] = load<Lanes>(before.b + at);
        }
        if constexpr (query) q_j[q] = load<Lanes>(asked.q + at);
      }
      for (int row = 0; row < tile_rows; ++row) {
        V dot_k = {}, dot_b = {};
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) {
          const int at = j + q * Lanes;
          const V s = load<Lanes>(state + row * N + at);
          V g = load<Lanes>(gradient + row * N + at);
          if constexpr (Ends) {
            sum_dw[q] += s * g;
            g *= w_j[q];
          }
          if constexpr (Begins) {
            sum_dr[q] += s * dy[row];
            g += r_j[q] * dy[row];
          }
          if constexpr (query) g += q_j[q] * de[row];
          if constexpr (Ends) {  // last, because du is known last
            sum_da[q] += s * du[row];
            g += a_j[q] * du[row];
          }
          if constexpr (Begins) {
            sum_dk[q] += g * v[row];
            sum_db[q] += g * u[row];
            dot_k += g * k_j[q];
            dot_b += g * b_j[q];
          }
          store<Lanes>(gradient + row * N + at, g);
        }
        if constexpr (Begins) {
          dots[row] = j ? dots[row] + dot_k : dot_k;
          dots[tile_rows + row] = j ? dots[tile_rows + row] + dot_b : dot_b;
        }
      }
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) {
        const int at = j + q * Lanes;
        if constexpr (Ends)
          store<Lanes>(now.dw + at, sum_dw[q]), store<Lanes>(now.da + at, sum_da[q]);
        if constexpr (Begins)
          store<Lanes>(before.dr + at, sum_dr[q]), store<Lanes>(before.dk + at, sum_dk[q]),
              store<Lanes>(before.db + at, sum_db[q]);
      }
    }
    if constexpr (Begins) sum_dots(dots, before.dv + i, du);
  }

  // dv: sums of the first tile_rows vectors, du: of the others.
  static void sum_dots(V (&dots)[2 * tile_rows], float* dv, float* du) {
    if constexpr (Lanes == 2 * tile_rows) {
      sum_lanes<Lanes>(dots);
      store<tile_rows>(dv, low_half<Lanes>(dots[0]));
      store<tile_rows>(du, high_half<Lanes>(dots[0]));
    } else {
      static_assert(Lanes == tile_rows);
      V(&first)[Lanes] = reinterpret_cast<V(&)[Lanes]>(dots[0]);
      V(&second)[Lanes] = reinterpret_cast<V(&)[Lanes]>(dots[tile_rows]);
      sum_lanes<Lanes>(first);
      sum_lanes<Lanes>(second);
      store<Lanes>(dv, first[0]);
      store<Lanes>(du, second[0]);
    }
  }

  // states[t]: tile_rows rows, from row i, of the state before token t < count, and after the last;
  // start: the whole state before the first.
  static void rebuild(const Token* tokens, int part, int count, int i, const float* start,
                      float* states) {
    for (int j = 0; j < N; j += tile_columns) {
      Tile tile;
      tile.load_from(start + i * N + j);
      tile.store_to(states + j);
      for (int t = 0; t < count; ++t) {
        tile.update(tokens[t].move(part), i, j);
        tile.store_to(states + (t + 1) * tile_rows * N + j);
      }
    }
  }

  // end: the state after the segment.
  static void advance(const Token* tokens, int part, const float* start, float* end) {
    for (int i = 0; i < N; i += tile_rows)
      for (int j = 0; j < N; j += tile_columns) {
        Tile tile;
        tile.load_from(start + i * N + j);
        for (int t = 0; t < segment; ++t) tile.update(tokens[t].move(part), i, j);
        tile.store_to(end + i * N + j);
      }
  }

  // The rows that the chunk before will read and write, asked for a few at each step: more than
  // some sixteen lines at once would hold the processor up. Into L2, since a segment fills L1.
  class Ahead {
   public:
    Ahead(const WkvBackwardHead<float>& head, std::int64_t first) {
      if (first < 0) return;
      const auto [tokens, size, stride] = head.extent;
      for (const float* rows : {head.d, head.b, head.k, head.u, head.v, head.r, head.a, head.dy})
        add(rows + first * stride, stride);
      for (const float* rows : {head.q, head.de})
        if (rows) add(rows + first * head.query_stride, head.query_stride);
      for (int i = 0; i < N; i += chunk) add(head.checkpoints + (first / chunk * N + i) * N, N);
      for (const auto& to : {head.dr, head.dd, head.dk, head.dv, head.da, head.db})
        add(to.data + first * stride, stride);
    }
    void go_on() {
      for (int n = 0; n < rows_of_step && next_ < count_; ++n) {
        const Block& block = blocks_[next_];
        const float* const row = block.rows + t_ * block.stride;
        for (int j = 0; j < N; j += 16) __builtin_prefetch(row + j, 0, 2);
        if (++t_ == chunk) t_ = 0, ++next_;
      }
    }

   private:
    struct Block {  // chunk rows
      const float* rows;
      std::int64_t stride;
    };
    static constexpr int most = 16 + N / chunk;  // blocks
    static constexpr int steps = N / tile_rows * chunk;
    static constexpr int rows_of_step = (most * chunk + steps - 1) / steps;
    void add(const float* rows, std::int64_t stride) { blocks_[count_++] = {rows, stride}; }

    Block blocks_[most];
    int count_ = 0, next_ = 0, t_ = 0;
  };

  // The first `count` tokens of segment `part`, from the last to the first.
  template <SecondRead Read>
  static void walk_back(Token* tokens, int part, int count, const float* start, float* gradient,
                        Ahead& ahead) {
    alignas(64) float states[(segment + 1) * tile_rows * N], du[tile_rows];
    for (int i = 0; i < N; i += tile_rows) {
      rebuild(tokens, part, count, i, start, states);
      const auto state = [&](int t) { return states + t * tile_rows * N; };
      float* rows = gradient + i * N;
      step<false, true, Read>(tokens, part, count, i, state(count), rows, du);
      for (int t = count - 1; t > 0; --t) {
        step<true, true, Read>(tokens, part, t, i, state(t), rows, du);
        ahead.go_on();
      }
      step<true, false, Read>(tokens, part, 0, i, state(0), rows, du);
      ahead.go_on();
    }
  }

  static void load_moves(const WkvBackwardHead<float>& head, std::int64_t at, Token& token) {
    copy_row(token.b, head.b + at);
    copy_row(token.k, head.k + at);
    copy_row(token.u, head.u + at);
    copy_row(token.v, head.v + at);
  }
  static void load_token(const WkvBackwardHead<float>& head, std::int64_t t, Token& token) {
    const std::int64_t at = t * head.extent.stride, query_at = t * head.query_stride;
    load_moves(head, at, token);
    copy_row(token.r, head.r + at);
    copy_row(token.a, head.a + at);
    copy_row(token.dy, head.dy + at);
    if (!head.q) return;
    copy_row(token.q, head.q + query_at);
    copy_row(token.de, head.de + query_at);
  }
  static void store_token(const WkvBackwardHead<float>& head, std::int64_t t, int part,
                          Token& token) {
    const auto add = [at = t * head.extent.stride](const WkvGradient<float>& to, const float* row) {
      add_row(to.data + at, row, to.fresh);
    };
    for (int j = 0; j < N; ++j) token.dw[j] *= token.slope[part][j];
    add(head.dr, token.dr);
    add(head.dd, token.dw);
    add(head.dk, token.dk);
    add(head.dv, token.dv);
    add(head.da, token.da);
    add(head.db, token.db);
  }

  template <SecondRead Read>
  static void backward_of(const WkvBackwardHead<float>& head) {
    alignas(64) float gradient[N * N], middle[N * N];
    Token tokens[segment];
    const auto [all, size, stride] = head.extent;
    for (int e = 0; e < N * N; ++e) gradient[e] = head.dfinal_state ? head.dfinal_state[e] : 0;
    for (std::int64_t first = (all - 1) / chunk * chunk; first >= 0; first -= chunk) {
      const int count = int(all - first < chunk ? all - first : chunk);
      const float* checkpoint = head.checkpoints + first / chunk * N * N;
      for (int t = 0; t < count; ++t) {
        Token& token = tokens[t % segment];
        const int part = t / segment;
        decays<Lanes, N>(head.d + (first + t) * stride, token.w[part], token.slope[part]);
      }
      Ahead ahead(head, first - chunk);
      if (count > segment) {
        for (int t = 0; t < segment; ++t) load_moves(head, (first + t) * stride, tokens[t]);
        advance(tokens, 0, checkpoint, middle);
      }
      for (int part = (count - 1) / segment; part >= 0; --part) {
        const std::int64_t begin = first + part * segment;
        const int length = count - part * segment < segment ? count - part * segment : segment;
        for (int t = 0; t < length; ++t) load_token(head, begin + t, tokens[t]);
        walk_back<Read>(tokens, part, length, part ? middle : checkpoint, gradient, ahead);
        for (int t = 0; t < length; ++t) store_token(head, begin + t, part, tokens[t]);
      }
    }
    if (head.dinitial_state.data)
      for (int i = 0; i < N; ++i)
        add_row(head.dinitial_state.data + i * N, gradient + i * N, head.dinitial_state.fresh);
  }

  static void backward(const WkvBackwardHead<float>& head) {
    if (!head.q) return backward_of<SecondRead::none>(head);
    if (head.current) return backward_of<SecondRead::current>(head);
    backward_of<SecondRead::previous>(head);
  }
};

}  // namespace
}  // namespace metascale
