// Tiles of query_block queries by key_block keys on the stack, in one pass with running row maxima
// [FlashAttention-2]; tiles that no query of the block sees are never computed. The products are
// single threaded sgemms: threads share the heads of all sequences. The bf16 flag is not used here:
// f32 products of such small tiles are as fast, and more exact.
#include "kernels/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/gemm.hpp"
#include "kernels/cpu/vector_math.hpp"

namespace metascale {
namespace {

constexpr std::int64_t query_block = 64;
constexpr std::int64_t key_block = 256;

// One head of one sequence of a (B, T, H, N) tensor: rows of N values, `stride` apart.
template <typename T>
struct Rows {
  T* data = nullptr;
  std::int64_t stride = 0;

  T* row(std::int64_t t) const { return data + t * stride; }
};

template <typename T>
Rows<T> rows_of(const Tensor& tensor, std::int64_t b, std::int64_t h) {
  const std::int64_t H = tensor.shape[2], N = tensor.shape[3];
  return {tensor.pointer<T>() + (b * tensor.shape[1] * H + h) * N, H * N};
}

template <typename T>
struct Tile {  // a block of s, p, dp or ds
  T data[query_block * key_block];

  T* row(std::int64_t i) { return data + i * key_block; }
};

// Keys [begin, end) of a tile of `width`: those that a row sees.
struct Visible {
  std::int64_t begin, end, width;
};

template <typename T>
void hide(T* s, const Visible& keys) {
  std::fill_n(s, keys.begin, T(0));
  std::fill(s + keys.end, s + keys.width, T(0));
}

// s -> e^{s - m} for the keys that the row sees, 0 for the others; m and l are the maximum and the
// sum of the row so far. Returns what earlier tiles must be multiplied by.
template <typename T>
METASCALE_MULTIVERSION T exponentials(T* __restrict s, const Visible& keys, T& m, T& l) {
  hide(s, keys);
  if (keys.begin >= keys.end) return 1;  // m may be -infinity still
  T largest = m;
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = keys.begin; j < keys.end; ++j) largest = s[j] > largest ? s[j] : largest;
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = keys.begin; j < keys.end; ++j) {
    s[j] = vector_exp(s[j] - largest);
    sum += s[j];
  }
  const T correction = vector_exp(m - largest);
  m = largest;
  l = l * correction + sum;
  return correction;
}

template <typename T>
METASCALE_MULTIVERSION void scale_row(T* __restrict y, std::int64_t N, T factor) {
  for (std::int64_t n = 0; n < N; ++n) y[n] *= factor;
}

template <typename T>
METASCALE_MULTIVERSION T dot_row(const T* a, const T* b, std::int64_t N) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t n = 0; n < N; ++n) sum += a[n] * b[n];
  return sum;
}

// s -> p = e^{s - lse};   dp -> ds = p (dp - delta);   both 0 for the keys that the row does not
// see
template <typename T>
METASCALE_MULTIVERSION void row_backward(T* __restrict s, T* __restrict dp, const Visible& keys,
                                         T lse, T delta) {
  for (std::int64_t j = keys.begin; j < keys.end; ++j) {
    s[j] = vector_exp(s[j] - lse);
    dp[j] = s[j] * (dp[j] - delta);
  }
  hide(s, keys);
  hide(dp, keys);
}

// The first keys that the queries of one sequence see; nullptr: 0.
struct FirstKeys {
  const std::int32_t* of_query = nullptr;

  std::int64_t operator()(std::int64_t t) const { return of_query ? of_query[t] : 0; }
  // The tile of keys in which what the queries from t on see begins.
  std::int64_t tile(std::int64_t t) const { return (*this)(t) / key_block * key_block; }
  // Of the tile at first_key, for a query that sees the keys before `end`.
  Visible in_tile(std::int64_t t, std::int64_t end, std::int64_t first_key,
                  std::int64_t width) const {
    const std::int64_t last = std::clamp<std::int64_t>(end - first_key, 0, width);
    return {std::clamp<std::int64_t>((*this)(t)-first_key, 0, last), last, width};
  }
};

FirstKeys first_keys(const Tensor& first, std::int64_t b) {
  if (!first.exists()) return {};
  return {first.pointer<std::int32_t>() + b * first.shape[1]};
}

template <typename T>
struct ForwardHead {
  Rows<T> y, q, k, v;
  T* lse;
  std::int64_t length, keys, N;  // T, S, N
  T scale;
  FirstKeys first_key;

  void run_block(std::int64_t first) const {
    const std::int64_t count = std::min(query_block, length - first);
    const std::int64_t end = first + count + keys - length;  // keys that the last query sees
    Tile<T> s;
    T m[query_block], l[query_block];
    std::fill_n(m, count, -std::numeric_limits<T>::infinity());
    std::fill_n(l, count, T(0));
    const std::int64_t begin = first_key.tile(first);
    for (std::int64_t j = begin; j < end; j += key_block) {
      const std::int64_t width = std::min(key_block, end - j);
      multiply(Product<T>{.c = s.data,
                          .stride = key_block,
                          .M = count,
                          .N = width,
                          .K = N,
                          .a = {q.row(first), q.stride},
                          .b = {k.row(j), k.stride, true},
                          .alpha = scale},
               1);
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t t = first + i;
        const Visible visible = first_key.in_tile(t, t + keys - length + 1, j, width);
        const T correction = exponentials(s.row(i), visible, m[i], l[i]);
        if (j > begin) scale_row(y.row(t), N, correction);
      }
      multiply(Product<T>{.c = y.row(first),
                          .stride = y.stride,
                          .M = count,
                          .N = N,
                          .K = width,
                          .a = {s.data, key_block},
                          .b = {v.row(j), v.stride},
                          .add = j > begin},
               1);
    }
    for (std::int64_t i = 0; i < count; ++i) {
      scale_row(y.row(first + i), N, 1 / l[i]);
      lse[first + i] = m[i] + std::log(l[i]);
    }
  }
};

template <typename T>
struct BackwardHead {
  Rows<T> dq, dk, dv, dy, y, q, k, v;
  const T* lse;
  std::int64_t length, N;
  T scale;
  bool fresh_q, fresh_k, fresh_v;
  FirstKeys first_key_of;

  // Query blocks from the last to the first: the last one that sees any key of the block has the
  // query of its last key, and so assigns them all.
  void run_keys(std::int64_t first_key) const {
    std::int64_t first = (length - 1) / query_block * query_block;
    while (first_key_of.tile(first) > first_key) first -= query_block;
    for (const std::int64_t last = first; first + query_block > first_key && first >= 0;
         first -= query_block)
      run_tile(first, first_key, first == last);
  }

  void run_tile(std::int64_t first, std::int64_t first_key, bool first_of_keys) const {
    const std::int64_t count = std::min(query_block, length - first);
    const std::int64_t width = std::min(key_block, first + count - first_key);
    const Operand<T> queries{q.row(first), q.stride}, above{dy.row(first), dy.stride};
    Tile<T> s, dp;
    const Product<T> tile{.stride = key_block, .M = count, .N = width, .K = N};
    multiply(with(tile, s.data, queries, {k.row(first_key), k.stride, true}, scale), 1);
    multiply(with(tile, dp.data, above, {v.row(first_key), v.stride, true}, T(1)), 1);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t t = first + i;
      const Visible visible = first_key_of.in_tile(t, t + 1, first_key, width);
      row_backward(s.row(i), dp.row(i), visible, lse[t], dot_row(dy.row(t), y.row(t), N));
    }
    Product<T> columns{.stride = dv.stride, .M = width, .N = N, .K = count};
    columns.add = !(fresh_v && first_of_keys);
    multiply(with(columns, dv.row(first_key), {s.data, key_block, true}, above, T(1)), 1);
    columns.stride = dk.stride;
    columns.add = !(fresh_k && first_of_keys);
    multiply(with(columns, dk.row(first_key), {dp.data, key_block, true}, queries, scale), 1);
    const Product<T> rows{.stride = dq.stride,
                          .M = count,
                          .N = N,
                          .K = width,
                          .add = !(fresh_q && first_key == first_key_of.tile(first))};
    multiply(with(rows, dq.row(first), {dp.data, key_block}, {k.row(first_key), k.stride}, scale),
             1);
  }

  static Product<T> with(Product<T> product, T* c, Operand<T> a, Operand<T> b, T alpha) {
    product.c = c, product.a = a, product.b = b, product.alpha = alpha;
    return product;
  }
};

}  // namespace

void AttentionForward::on(CpuQueue& queue) const {
  with_float_type(q.dtype, [&]<typename T>() {
    const std::int64_t B = q.shape[0], length = q.shape[1], H = q.shape[2];
    parallel_for(queue.threads, B * H, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t b = item / H, h = item % H;
        const ForwardHead<T> head{rows_of<T>(y, b, h),
                                  rows_of<T>(q, b, h),
                                  rows_of<T>(k, b, h),
                                  rows_of<T>(v, b, h),
                                  lse.pointer<T>() + item * length,
                                  length,
                                  k.shape[1],
                                  q.shape[3],
                                  T(scale),
                                  first_keys(first, b)};
        for (std::int64_t t = 0; t < length; t += query_block) head.run_block(t);
      }
    });
  });
}

void AttentionBackward::on(CpuQueue& queue) const {
  with_float_type(q.dtype, [&]<typename T>() {
    const std::int64_t B = q.shape[0], length = q.shape[1], H = q.shape[2];
    parallel_for(queue.threads, B * H, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t b = item / H, h = item % H;
        const auto rows = [&](const Tensor& tensor) { return rows_of<T>(tensor, b, h); };
        const BackwardHead<T> head{rows(dq),
                                   rows(dk),
                                   rows(dv),
                                   rows(dy),
                                   rows(y),
                                   rows(q),
                                   rows(k),
                                   rows(v),
                                   lse.pointer<T>() + item * length,
                                   length,
                                   q.shape[3],
                                   T(scale),
                                   dq.fresh,
                                   dk.fresh,
                                   dv.fresh,
                                   first_keys(first, b)};
        for (std::int64_t key = 0; key < length; key += key_block) head.run_keys(key);
      }
    });
  });
}

}  // namespace metascale
