// WKV7's backward keeps S[i][j] and G[i][j], lanes along the key channel j: five of its seven sums
// are then sums over rows. A chunk's operands are copied side by side first: heads alternate in
// memory, and their tokens would compete for the same lines of L1.
//
// It takes `tile_rows` rows through `segment` tokens at a time, which fits in L1: rebuilds their
// states forward, and walks back in one pass per token, which ends token t and begins token t - 1,
// because both meet S_{t-1}. The two sums along j, G k and G b of 8 rows, are 16 vectors summed
// across lanes together.
#pragma once

#include "kernels/cpu/wkv7_scan.hpp"
#include "kernels/cpu/wkv7_vector_types.hpp"

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

  // One vector of every token of a chunk. All vectors of a token lie side by side in a Table:
  // arrays of chunk * N floats each would meet in the same few sets of L1.
  static constexpr int token_vectors = 17;
  static constexpr int token_stride = token_vectors * N;
  struct Rows {
    float* first;
    float* operator[](int t) const { return first + t * token_stride; }

    void copy(const float* from, std::int64_t stride, int count) const {
      for (int t = 0; t < count; ++t)
        for (int j = 0; j < N; j += Lanes)
          store<Lanes>((*this)[t] + j, load<Lanes>(from + t * stride + j));
    }
    void clear() const {
      for (int t = 0; t < chunk; ++t)
        for (int j = 0; j < N; j += Lanes) store<Lanes>((*this)[t] + j, V{});
    }
    void add_to(const WkvGradient<float>& to, std::int64_t stride, int count) const {
      add_rows(to, stride, count, first, token_stride);
    }
  };

  struct alignas(64) Table {
    float values[chunk * token_stride];
    Rows rows(int index) { return {values + index * N}; }
  };

  static void add_rows(const WkvGradient<float>& to, std::int64_t stride, int count,
                       const float* rows, std::int64_t rows_stride) {
    for (int t = 0; t < count; ++t)
      for (int j = 0; j < N; j += Lanes) {
        float* target = to.data + t * stride + j;
        const V value = load<Lanes>(rows + t * rows_stride + j);
        store<Lanes>(target, to.fresh ? value : load<Lanes>(target) + value);
      }
  }

  static void prefetch(const float* from, std::int64_t stride, int count) {
    for (int t = 0; t < count; ++t)
      for (int j = 0; j < N; j += 16) __builtin_prefetch(from + t * stride + j);
  }

  // What moves the state over the tokens of a chunk:  S = S diag(w) + u b^T + v k^T
  struct Moves {
    Rows w, b, k, u, v;
    explicit Moves(Table& table)
        : w(table.rows(0)),
          b(table.rows(1)),
          k(table.rows(2)),
          u(table.rows(3)),
          v(table.rows(4)) {}
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
    // By token t; the tile begins at row i, column j.
    void update(const Moves& moves, int t, int i, int j) {
      const float *const u_row = moves.u[t] + i, *const v_row = moves.v[t] + i;
      V w[tile_vectors], b[tile_vectors], k[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) {
        w[q] = load<Lanes>(moves.w[t] + j + q * Lanes);
        b[q] = load<Lanes>(moves.b[t] + j + q * Lanes);
        k[q] = load<Lanes>(moves.k[t] + j + q * Lanes);
      }
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row) {
        const float u = u_row[row], v = v_row[row];
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) s[row][q] = s[row][q] * w[q] + b[q] * u + k[q] * v;
      }
    }
    // sums_j += sum over rows of s x_row
    void add_to(float* sums, const float* x) const {
      V sum[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) sum[q] = load<Lanes>(sums + q * Lanes);
#pragma GCC unroll 8
      for (int row = 0; row < tile_rows; ++row)
#pragma GCC unroll 2
        for (int q = 0; q < tile_vectors; ++q) sum[q] += s[row][q] * x[row];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) store<Lanes>(sums + q * Lanes, sum[q]);
    }
  };

  static void query_backward(const WkvChunk<float>& part) {
    Table table;
    const Moves moves(table);
    const Rows de = table.rows(5), dq = table.rows(6);
    const std::int64_t stride = part.extent.stride;
    const int count = int(part.extent.tokens);
    for (const float* rows : {part.b, part.k, part.u, part.v}) prefetch(rows, stride, count);
    decays<Lanes, N>(part.d, stride, count, moves.w.first, token_stride, nullptr);
    moves.b.copy(part.b, stride, count);
    moves.k.copy(part.k, stride, count);
    moves.u.copy(part.u, stride, count);
    moves.v.copy(part.v, stride, count);
    de.copy(part.query, part.query_stride, count);
    dq.clear();
    for (int j = 0; j < N; j += tile_columns)
      for (int i = 0; i < N; i += tile_rows) {
        Tile tile;
        tile.load_from(part.checkpoint + i * N + j);
        for (int t = 0; t < count; ++t) {
          if (!part.current) tile.add_to(dq[t] + j, de[t] + i);
          tile.update(moves, t, i, j);
          if (part.current) tile.add_to(dq[t] + j, de[t] + i);
        }
      }
    dq.add_to(part.result, part.query_stride, count);
  }

  struct Chunk {
    Table table;
    const Moves moves{table};
    const Rows r = table.rows(5), a = table.rows(6), dy = table.rows(7), q = table.rows(8),
               de = table.rows(9);
    const Rows dr = table.rows(10), dw = table.rows(11), dk = table.rows(12), da = table.rows(13),
               db = table.rows(14);                          // sums over rows of the state
    const Rows dv = table.rows(15), slope = table.rows(16);  // slope: dw/dd
  };

  // state: tile_rows rows of the state before token t (after token t - 1), from row i; gradient:
  // those of G. Ends token t (dw, da, and G moves before it; needs du of t) and begins token t - 1
  // (dy's part of G; dr, dk, db, dv, and du for the next call). The second read-out comes between
  // the two: that of t if previous, that of t - 1 if current.
  template <bool Ends, bool Begins, SecondRead Read>
  static void step(const Chunk& c, int t, int i, const float* state, float* gradient, float* du) {
    // NOLINTNEXTLINE(bugprone-branch-clone): the branches are equal where Ends and Begins are
    constexpr bool query = Read == SecondRead::previous  ? Ends
                           : Read == SecondRead::current ? Begins
                                                         : false;
    const int now = Ends ? t : t - 1, before = Begins ? t - 1 : t;
    const int asked = Read == SecondRead::previous ? now : before;
    // Locals, because a store through a vector might change what c says.
    const float *const w = c.moves.w[now], *const a = c.a[now];
    const float *const r = c.r[before], *const k = c.moves.k[before], *const b = c.moves.b[before];
    const float *const dy = c.dy[before] + i, *const v = c.moves.v[before] + i,
                       *const u = c.moves.u[before] + i;
    const float *const q_row = c.q[asked], *const de = c.de[asked] + i;
    float *const dw = c.dw[now], *const da = c.da[now];
    float *const dr = c.dr[before], *const dk = c.dk[before], *const db = c.db[before];
    V dots[2 * tile_rows];  // per row: of G k, then of G b
    for (int j = 0; j < N; j += tile_columns) {
      V sum_dw[tile_vectors], sum_da[tile_vectors], sum_dr[tile_vectors], sum_dk[tile_vectors],
          sum_db[tile_vectors];
      V w_j[tile_vectors], a_j[tile_vectors], r_j[tile_vectors], k_j[tile_vectors],
          b_j[tile_vectors], q_j[tile_vectors];
#pragma GCC unroll 2
      for (int q = 0; q < tile_vectors; ++q) {
        const int at = j + q * Lanes;
        if constexpr (Ends) {
          sum_dw[q] = load<Lanes>(dw + at), sum_da[q] = load<Lanes>(da + at);
          w_j[q] = load<Lanes>(w + at), a_j[q] = load<Lanes>(a + at);
        }
        if constexpr (Begins) {
          sum_dr[q] = load<Lanes>(dr + at), sum_dk[q] = load<Lanes>(dk + at);
          sum_db[q] = load<Lanes>(db + at);
          r_j[q] = load<Lanes>(r + at), k_j[q] = load<Lanes>(k + at), b_j[q] = load<Lanes>(b + at);
        }
        if constexpr (query) q_j[q] = load<Lanes>(q_row + at);
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
        if constexpr (Ends) store<Lanes>(dw + at, sum_dw[q]), store<Lanes>(da + at, sum_da[q]);
        if constexpr (Begins)
          store<Lanes>(dr + at, sum_dr[q]), store<Lanes>(dk + at, sum_dk[q]),
              store<Lanes>(db + at, sum_db[q]);
      }
    }
    if constexpr (Begins) sum_dots(dots, c.dv[before] + i, du);
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

  // states[t - first]: tile_rows rows, from row i, of the state before token t; start: the whole
  // state before token `first`.
  static void rebuild(const Moves moves, int first, int last, int i, const float* start,
                      float* states) {
    for (int j = 0; j < N; j += tile_columns) {
      Tile tile;
      tile.load_from(start + i * N + j);
      tile.store_to(states + j);
      for (int t = first; t < last; ++t) {
        tile.update(moves, t, i, j);
        tile.store_to(states + (t + 1 - first) * tile_rows * N + j);
      }
    }
  }

  // end: the state before token `last`.
  static void advance(const Moves moves, int first, int last, const float* start, float* end) {
    for (int i = 0; i < N; i += tile_rows)
      for (int j = 0; j < N; j += tile_columns) {
        Tile tile;
        tile.load_from(start + i * N + j);
        for (int t = first; t < last; ++t) tile.update(moves, t, i, j);
        tile.store_to(end + i * N + j);
      }
  }

  // Tokens [first, last) of a chunk, from the last to the first.
  template <SecondRead Read>
  static void walk_back(const Chunk& c, int first, int last, const float* start, float* gradient) {
    alignas(64) float states[(segment + 1) * tile_rows * N], du[tile_rows];
    for (int i = 0; i < N; i += tile_rows) {
      rebuild(c.moves, first, last, i, start, states);
      const auto state = [&](int t) { return states + (t - first) * tile_rows * N; };
      float* rows = gradient + i * N;
      step<false, true, Read>(c, last, i, state(last), rows, du);
      for (int t = last - 1; t > first; --t) step<true, true, Read>(c, t, i, state(t), rows, du);
      step<true, false, Read>(c, first, i, state(first), rows, du);
    }
  }

  static void load_chunk(const WkvBackwardHead<float>& head, std::int64_t first, int count,
                         const Chunk& c) {
    const std::int64_t stride = head.extent.stride, at = first * stride;
    decays<Lanes, N>(head.d + at, stride, count, c.moves.w.first, token_stride, c.slope.first);
    c.moves.b.copy(head.b + at, stride, count);
    c.moves.k.copy(head.k + at, stride, count);
    c.moves.u.copy(head.u + at, stride, count);
    c.moves.v.copy(head.v + at, stride, count);
    c.r.copy(head.r + at, stride, count);
    c.a.copy(head.a + at, stride, count);
    c.dy.copy(head.dy + at, stride, count);
    for (const Rows& sums : {c.dr, c.dw, c.dk, c.da, c.db}) sums.clear();
    if (!head.q) return;
    c.q.copy(head.q + first * head.query_stride, head.query_stride, count);
    c.de.copy(head.de + first * head.query_stride, head.query_stride, count);
  }

  static void prefetch_chunk(const WkvBackwardHead<float>& head, std::int64_t first) {
    const std::int64_t stride = head.extent.stride, at = first * stride;
    for (const float* rows : {head.d, head.b, head.k, head.u, head.v, head.r, head.a, head.dy})
      prefetch(rows + at, stride, chunk);
    prefetch(head.checkpoints + first / chunk * N * N, N, N);
  }

  static void store_chunk(const WkvBackwardHead<float>& head, std::int64_t first, int count,
                          const Chunk& c) {
    for (int t = 0; t < count; ++t)
      for (int j = 0; j < N; ++j) c.dw[t][j] *= c.slope[t][j];
    const std::int64_t stride = head.extent.stride;
    const auto add = [&](const WkvGradient<float>& to, const Rows& rows) {
      rows.add_to({to.data + first * stride, to.fresh}, stride, count);
    };
    add(head.dr, c.dr);
    add(head.dd, c.dw);
    add(head.dk, c.dk);
    add(head.dv, c.dv);
    add(head.da, c.da);
    add(head.db, c.db);
  }

  template <SecondRead Read>
  static void backward_of(const WkvBackwardHead<float>& head) {
    alignas(64) float gradient[N * N], middle[N * N];
    Chunk c;
    const std::int64_t tokens = head.extent.tokens;
    for (int e = 0; e < N * N; ++e) gradient[e] = head.dfinal_state ? head.dfinal_state[e] : 0;
    for (std::int64_t first = (tokens - 1) / chunk * chunk; first >= 0; first -= chunk) {
      const int count = int(tokens - first < chunk ? tokens - first : chunk);
      const float* checkpoint = head.checkpoints + first / chunk * N * N;
      load_chunk(head, first, count, c);
      if (first > 0) prefetch_chunk(head, first - chunk);
      if (count > segment) {
        advance(c.moves, 0, segment, checkpoint, middle);
        walk_back<Read>(c, segment, count, middle, gradient);
      }
      walk_back<Read>(c, 0, count < segment ? count : segment, checkpoint, gradient);
      store_chunk(head, first, count, c);
    }
    if (head.dinitial_state.data) add_rows(head.dinitial_state, N, N, gradient, N);
  }

  static void backward(const WkvBackwardHead<float>& head) {
    if (!head.q) return backward_of<SecondRead::none>(head);
    if (head.current) return backward_of<SecondRead::current>(head);
    backward_of<SecondRead::previous>(head);
  }
};

}  // namespace
}  // namespace metascale
