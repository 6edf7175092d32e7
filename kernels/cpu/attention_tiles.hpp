// Attention of one head in tiles of a few queries by a block of keys, in one pass with running row
// maxima [FlashAttention-2]; keys that no query of a tile sees are not computed. Included by one
// file per instruction set; all is in an unnamed namespace (see vectors.hpp).
//
// The products are ours because they are small and causal: a tile's scores stay in L1, and a
// product ends at the last key that its rows see. Their right operands are packed once per block of
// keys into panels: Width vectors of neighbouring columns, row by row.
#pragma once

#include "kernels/cpu/attention_head.hpp"
#include "kernels/cpu/vectors.hpp"

namespace metascale {
namespace {

inline float logarithm(float x) { return __builtin_logf(x); }
inline double logarithm(double x) { return __builtin_log(x); }

constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t most(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
constexpr std::int64_t round_up(std::int64_t count, std::int64_t step) {
  return (count + step - 1) / step * step;
}

// Keys [begin, end) of a block: those that a row sees. Scores are kept up to `extent`.
struct Visible {
  std::int64_t begin, end, extent;
};

template <typename T, int Lanes>
struct AttentionTiles {
  using Numbers = Vector<Lanes, T>;
  using Rows = AttentionRows<T>;

  static constexpr auto lanes = std::make_integer_sequence<int, Lanes>();
  static constexpr int tile_rows =
      Lanes == 16 ? 8 : 4;                 // of a product: two vectors each in registers
  static constexpr int panel = 2 * Lanes;  // keys of a product
  static constexpr std::int64_t score_stride = attention_keys + 16;  // no two rows in one cache set
  static constexpr std::int64_t query_span =
      256;  // queries that share the panels of a block of keys
  static constexpr T infinity = __builtin_inff();

  // Left operand: data[r * row + k * step].
  struct Scalars {
    const T* data;
    std::int64_t row, step;
  };
  // Right operand: its rows are `step` apart, its panels of columns `panel`.
  struct Right {
    const T* data;
    std::int64_t step, panel;

    Right from_row(std::int64_t row) const { return {data + row * step, step, panel}; }
  };
  // Result: `columns` of each row, at most a panel's.
  struct Target {
    T* data;
    std::int64_t stride, columns;
    bool add;
  };

  // --- products -------------------------------------------------------------------------------

  template <int R, int Width, bool add>
  [[gnu::always_inline]] static inline void store_tile(const Target& c,
                                                       const Numbers (&sums)[R][Width]) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int w = 0; w < Width; ++w) {
        T* to = c.data + r * c.stride + w * Lanes;
        store<Lanes>(to, add ? load<Lanes>(to) + sums[r][w] : sums[r][w]);
      }
  }

  // c (+)= a b for R rows and one panel of Width vectors. A function of its own, so that the
  // compiler keeps its pointers in registers.
  template <int R, int Width>
  [[gnu::noinline]] static void multiply_tile(const Target& c, const Scalars& a, const Right& b,
                                              std::int64_t depth) {
    Numbers sums[R][Width];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
      for (int w = 0; w < Width; ++w) sums[r][w] = Numbers{};
    const T *left = a.data, *row = b.data;
    for (std::int64_t k = 0; k < depth; ++k, left += a.step, row += b.step) {
      Numbers right[Width];
#pragma GCC unroll 2
      for (int w = 0; w < Width; ++w) right[w] = load<Lanes>(row + w * Lanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
        for (int w = 0; w < Width; ++w) sums[r][w] += left[r * a.row] * right[w];
    }
    if (c.add)
      store_tile<R, Width, true>(c, sums);
    else
      store_tile<R, Width, false>(c, sums);
  }

  // The last columns, of which there are fewer than a panel has.
  template <int R, int Width>
  [[gnu::noinline]] static void multiply_part(const Target& c, const Scalars& a, const Right& b,
                                              std::int64_t depth) {
    T whole[R * Width * Lanes];
    multiply_tile<R, Width>({whole, Width * Lanes, Width * Lanes, false}, a, b, depth);
    for (int r = 0; r < R; ++r)
      for (std::int64_t n = 0; n < c.columns; ++n) {
        T& to = c.data[r * c.stride + n];
        to = whole[r * Width * Lanes + n] + (c.add ? to : T(0));
      }
  }

  template <int R, int Width>
  [[gnu::always_inline]] static inline void multiply_rows(const Target& c, const Scalars& a,
                                                          const Right& b, std::int64_t depth) {
    if (c.columns == Width * Lanes)
      multiply_tile<R, Width>(c, a, b, depth);
    else
      multiply_part<R, Width>(c, a, b, depth);
  }

  template <int Width>
  static void multiply(std::int64_t rows, Target c, Scalars a, const Right& b, std::int64_t depth) {
    if (rows == tile_rows) return multiply_rows<tile_rows, Width>(c, a, b, depth);
    for (; rows > 0; --rows, c.data += c.stride, a.data += a.row)
      multiply_rows<1, Width>(c, a, b, depth);
  }

  // `size` columns of `to` (+)= a b
  template <int Width>
  static void multiply_panels(std::int64_t rows, T* to, std::int64_t stride, std::int64_t size,
                              const Scalars& a, Right b, std::int64_t depth, bool add) {
    constexpr int columns = Width * Lanes;
    for (std::int64_t n = 0; n < size; n += columns, b.data += b.panel)
      multiply<Width>(rows, {to + n, stride, least(columns, size - n), add}, a, b, depth);
  }

  // --- packing --------------------------------------------------------------------------------

  // Panels of Width vectors of the rows' columns, times factor; 0 behind the last.
  template <int Width>
  static Right pack(T* to, const Rows& from, std::int64_t count, std::int64_t size, T factor) {
    constexpr int columns = Width * Lanes;
    const Right packed{to, columns, count * columns};
    for (std::int64_t n = 0; n < size; n += columns)
      for (std::int64_t t = 0; t < count; ++t, to += columns) {
        const T* row = from.row(t) + n;
        if (size - n >= columns) {
#pragma GCC unroll 2
          for (int w = 0; w < Width; ++w)
            store<Lanes>(to + w * Lanes, factor * load<Lanes>(row + w * Lanes));
        } else {
          for (int i = 0; i < columns; ++i) to[i] = i < size - n ? factor * row[i] : T(0);
        }
      }
    return packed;
  }

  // Panels of the transposed rows, times factor: [token / panel][channel][token % panel]; 0 behind
  // the last token.
  static void pack_transposed(T* to, const Rows& from, std::int64_t count, std::int64_t size,
                              T factor) {
    for (std::int64_t first = 0; first < count; first += Lanes) {
      T* column = to + first / panel * panel * size + first % panel;
      const std::int64_t tokens = least(Lanes, count - first);
      const std::int64_t whole = tokens == Lanes ? size / Lanes * Lanes : 0;
      for (std::int64_t n = 0; n < whole; n += Lanes) {
        Numbers block[Lanes];
#pragma GCC unroll 16
        for (int t = 0; t < Lanes; ++t) block[t] = load<Lanes>(from.row(first + t) + n);
        transpose_rows<Lanes>(block);
#pragma GCC unroll 16
        for (int i = 0; i < Lanes; ++i) store<Lanes>(column + (n + i) * panel, factor * block[i]);
      }
      for (std::int64_t n = whole; n < size; ++n)
        for (int t = 0; t < Lanes; ++t)
          column[n * panel + t] = t < tokens ? factor * from.row(first + t)[n] : T(0);
    }
    // The other half of the last panel.
    if (const std::int64_t left = round_up(count, Lanes) % panel)
      for (std::int64_t n = 0; n < size; ++n)
        store<Lanes>(to + count / panel * panel * size + n * panel + left, Numbers{});
  }

  // --- rows of scores -------------------------------------------------------------------------

  static Visible visible(const std::int32_t* first, std::int64_t t, std::int64_t end,
                         std::int64_t block, std::int64_t extent) {
    const std::int64_t last = most(0, least(end - block, extent));
    return {first ? most(0, least(first[t] - block, last)) : 0, last, extent};
  }

  // The block of keys in which what the queries from t on see begins.
  static std::int64_t first_block(const std::int32_t* first, std::int64_t t) {
    return first ? first[t] / attention_keys * attention_keys : 0;
  }

  // `value` for the hidden keys of the Lanes from j on.
  [[gnu::always_inline]] static inline void hide_lanes(T* row, const Visible& keys, std::int64_t j,
                                                       T value) {
    const Numbers lane = ascending<Numbers>(lanes) + T(j);
    const auto seen = (lane >= Numbers{} + T(keys.begin)) & (lane < Numbers{} + T(keys.end));
    store<Lanes>(row + j, seen ? load<Lanes>(row + j) : Numbers{} + value);
  }
  static void hide(T* row, const Visible& keys, T value) {
    for (std::int64_t j = 0; j < keys.begin; j += Lanes) hide_lanes(row, keys, j, value);
    for (std::int64_t j = keys.end / Lanes * Lanes; j < keys.extent; j += Lanes)
      hide_lanes(row, keys, j, value);
  }

  // e^x for x <= 0, within 2^-124
  [[gnu::always_inline]] static inline Numbers exponential_below_0(Numbers x) {
    return x < Numbers{} - 86 ? Numbers{} : exponential<Lanes>(x);
  }

  // s -> e^{s - m} for the keys that the row sees, 0 for the others; m and l are the maximum and
  // the sum of the row so far. Returns what earlier blocks must be multiplied by.
  static T exponentials(T* s, const Visible& keys, T& m, T& l) {
    if (keys.begin >= keys.end) {  // m may be -infinity still
      for (std::int64_t j = 0; j < keys.extent; ++j) s[j] = 0;
      return 1;
    }
    hide(s, keys, -infinity);
    Numbers top = Numbers{} + m, sum = {};
    for (std::int64_t j = 0; j < keys.extent; j += Lanes) {
      const Numbers score = load<Lanes>(s + j);
      top = score > top ? score : top;
    }
    const T largest = largest_lane<Lanes, T>(top);
    for (std::int64_t j = 0; j < keys.extent; j += Lanes) {
      const Numbers e = exponential_below_0(load<Lanes>(s + j) - largest);
      store<Lanes>(s + j, e);
      sum += e;
    }
    const T correction = exponential_below_0(Numbers{} + (m - largest))[0];
    m = largest;
    l = l * correction + sum_of_lanes<Lanes, T>(sum);
    return correction;
  }

  // s -> p = e^{s - lse};   dp -> ds = p (dp - delta);   both 0 for the keys that the row does not
  // see
  static void row_backward(T* s, T* dp, const Visible& keys, T lse, T delta) {
    for (std::int64_t j = 0; j < keys.extent; j += Lanes) {
      const Numbers p = exponential_below_0(load<Lanes>(s + j) - lse);
      store<Lanes>(s + j, p);
      store<Lanes>(dp + j, p * (load<Lanes>(dp + j) - delta));
    }
    hide(s, keys, 0);
    hide(dp, keys, 0);
  }

  static void scale_row(T* y, std::int64_t size, T factor) {
    for (std::int64_t n = 0; n < size; ++n) y[n] *= factor;
  }

  static T dot(const T* a, const T* b, std::int64_t size) {
    Numbers sums = {};
    std::int64_t n = 0;
    for (; n + Lanes <= size; n += Lanes) sums += load<Lanes>(a + n) * load<Lanes>(b + n);
    T sum = sum_of_lanes<Lanes, T>(sums);
    for (; n < size; ++n) sum += a[n] * b[n];
    return sum;
  }

  // rows x keys [0, end) of a b^T, b transposed in panels
  static void scores(T* to, std::int64_t rows, const Rows& a, const T* transposed,
                     std::int64_t size, std::int64_t end) {
    for (std::int64_t j = 0; j < end; j += panel)
      multiply<2>(rows, {to + j, score_stride, panel, false}, {a.data, a.stride, 1},
                  {transposed + j * size, panel, 0}, size);
  }

  // One row of them, times factor, b as it lies: less work than to transpose b for a few rows.
  static void scores_of_row(T* to, const T* a, const Rows& b, std::int64_t size, std::int64_t end,
                            T factor) {
    for (std::int64_t j = 0; j < end; j += Lanes) {
      Numbers products[Lanes];
#pragma GCC unroll 16
      for (int i = 0; i < Lanes; ++i) {
        const T* row = b.row(least(j + i, end - 1));
        products[i] = Numbers{};
        for (std::int64_t n = 0; n + Lanes <= size; n += Lanes)
          products[i] += load<Lanes>(a + n) * load<Lanes>(row + n);
        for (std::int64_t n = size / Lanes * Lanes; n < size; ++n) products[i][0] += a[n] * row[n];
      }
      sum_lanes<Lanes>(products);
      store<Lanes>(to + j, factor * products[0]);
    }
  }

  // --- forward --------------------------------------------------------------------------------

  struct Statistics {
    T m[query_span], l[query_span];
  };

  template <int Width>
  static void forward_block(const AttentionForwardHead<T>& head, std::int64_t first,
                            std::int64_t last, std::int64_t block, T* room, Statistics& of_rows) {
    const std::int64_t older = head.keys - head.length, size = head.size;
    const std::int64_t width = least(attention_keys, last + older - block);
    const Rows k{head.k.row(block), head.k.stride}, v{head.v.row(block), head.v.stride};
    const bool few = last - first < tile_rows;
    if (!few) pack_transposed(room, k, width, size, head.scale);
    const Right values = few && size % (Width * Lanes) == 0
                             ? Right{v.data, v.stride, Width * Lanes}
                             : pack<Width>(room + attention_keys * size, v, width, size, 1);
    alignas(64) T s[tile_rows * score_stride];
    for (std::int64_t t = first; t < last; t += tile_rows) {
      const std::int64_t rows = least(tile_rows, last - t);
      const std::int64_t end = least(width, t + rows + older - block);
      const std::int64_t begun = first_block(head.first, t);
      if (end <= 0 || begun > block) continue;
      if (!few) scores(s, rows, {head.q.row(t), head.q.stride}, room, size, end);
      for (std::int64_t i = 0; i < rows; ++i) {
        T* row = s + i * score_stride;
        if (few) scores_of_row(row, head.q.row(t + i), k, size, end, head.scale);
        const Visible keys =
            visible(head.first, t + i, t + i + older + 1, block, round_up(end, Lanes));
        const T correction =
            exponentials(row, keys, of_rows.m[t + i - first], of_rows.l[t + i - first]);
        if (block > begun) scale_row(head.y.row(t + i), size, correction);
      }
      multiply_panels<Width>(rows, head.y.row(t), head.y.stride, size, {s, score_stride, 1}, values,
                             end, block > begun);
    }
  }

  template <int Width>
  static void forward_of(const AttentionForwardHead<T>& head, T* room) {
    Statistics rows;
    for (std::int64_t first = 0; first < head.length; first += query_span) {
      const std::int64_t last = least(first + query_span, head.length);
      for (T& m : rows.m) m = -infinity;
      for (T& l : rows.l) l = 0;
      const std::int64_t end = last + head.keys - head.length;  // of the keys that are seen
      for (std::int64_t block = first_block(head.first, first); block < end;
           block += attention_keys)
        forward_block<Width>(head, first, last, block, room, rows);
      for (std::int64_t t = first; t < last; ++t) {
        scale_row(head.y.row(t), head.size, 1 / rows.l[t - first]);
        head.lse[t] = rows.m[t - first] + logarithm(rows.l[t - first]);
      }
    }
  }

  // --- backward -------------------------------------------------------------------------------

  // The panels of a block of keys: transposed k and v for the scores and dp, k itself for dq; k
  // times scale, which its two products have.
  struct Keys {
    std::int64_t first, count;
    const T *transposed_k, *transposed_v;
    Right k;
  };

  template <int Width>
  static void backward_block(const AttentionBackwardHead<T>& head, const Keys& block,
                             std::int64_t first, bool assigns, T* room) {
    const std::int64_t size = head.size, count = least(attention_queries, head.length - first);
    const Rows queries{head.q.row(first), head.q.stride}, above{head.dy.row(first), head.dy.stride};
    const Right q = pack<Width>(room, queries, count, size, head.scale);
    const Right dy = pack<Width>(room + attention_queries * round_up(size, Width * Lanes), above,
                                 count, size, 1);
    alignas(64) T p[attention_queries * score_stride], ds[attention_queries * score_stride];
    const bool add_q = !(head.dq.fresh && block.first == first_block(head.first, first));
    for (std::int64_t i = 0; i < count; i += tile_rows) {
      const std::int64_t t = first + i, rows = least(tile_rows, count - i);
      const std::int64_t end = least(block.count, t + rows - block.first);
      T *s = p + i * score_stride, *dp = ds + i * score_stride;
      scores(s, rows, {head.q.row(t), head.q.stride}, block.transposed_k, size, end);
      scores(dp, rows, {head.dy.row(t), head.dy.stride}, block.transposed_v, size, end);
      for (std::int64_t r = 0; r < rows; ++r)
        row_backward(s + r * score_stride, dp + r * score_stride,
                     visible(head.first, t + r, t + r + 1, block.first, round_up(end, panel)),
                     head.lse[t + r], dot(head.dy.row(t + r), head.y.row(t + r), size));
      multiply_panels<Width>(rows, head.dq.rows.row(t), head.dq.rows.stride, size,
                             {dp, score_stride, 1}, block.k, end, add_q);
    }
    const std::int64_t seen = least(block.count, first + count - block.first);
    for (std::int64_t j = 0; j < seen; j += tile_rows) {
      const std::int64_t rows = least(tile_rows, seen - j), key = block.first + j;
      const std::int64_t from = most(0, key - first), depth = count - from;
      const std::int64_t at = from * score_stride + j;
      multiply_panels<Width>(rows, head.dv.rows.row(key), head.dv.rows.stride, size,
                             {p + at, 1, score_stride}, dy.from_row(from), depth,
                             !(head.dv.fresh && assigns));
      multiply_panels<Width>(rows, head.dk.rows.row(key), head.dk.rows.stride, size,
                             {ds + at, 1, score_stride}, q.from_row(from), depth,
                             !(head.dk.fresh && assigns));
    }
  }

  // Blocks of queries from the last to the first: the last one that sees any key of the block has
  // the query of its last key, and so assigns them all.
  template <int Width>
  static void backward_of(const AttentionBackwardHead<T>& head, T* room) {
    const std::int64_t size = head.size, padded = round_up(size, Width * Lanes);
    T *transposed_k = room, *transposed_v = transposed_k + attention_keys * size,
      *packed_k = transposed_v + attention_keys * size,
      *queries = packed_k + attention_keys * padded;
    for (std::int64_t key = 0; key < head.length; key += attention_keys) {
      const std::int64_t count = least(attention_keys, head.length - key);
      const Rows k{head.k.row(key), head.k.stride}, v{head.v.row(key), head.v.stride};
      pack_transposed(transposed_k, k, count, size, head.scale);
      pack_transposed(transposed_v, v, count, size, 1);
      const Keys block{key, count, transposed_k, transposed_v,
                       pack<Width>(packed_k, k, count, size, head.scale)};
      std::int64_t first = (head.length - 1) / attention_queries * attention_queries;
      while (first_block(head.first, first) > key) first -= attention_queries;
      for (const std::int64_t last = first; first >= key; first -= attention_queries)
        backward_block<Width>(head, block, first, first == last, queries);
    }
  }

  // --- by head size ---------------------------------------------------------------------------

  static bool fits_one_vector(std::int64_t size) { return round_up(size, Lanes) % panel != 0; }

  static void forward(const AttentionForwardHead<T>& head, T* room) {
    return fits_one_vector(head.size) ? forward_of<1>(head, room) : forward_of<2>(head, room);
  }
  static void backward(const AttentionBackwardHead<T>& head, T* room) {
    return fits_one_vector(head.size) ? backward_of<1>(head, room) : backward_of<2>(head, room);
  }
};

template <typename T, int Lanes>
constexpr AttentionLoops<T> attention_loops = {AttentionTiles<T, Lanes>::forward,
                                               AttentionTiles<T, Lanes>::backward};

}  // namespace
}  // namespace metascale
