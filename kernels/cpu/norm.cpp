#include "kernels/norm.hpp"

#include <cmath>

#include "core/parallel.hpp"
#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/convert.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

template <typename T>
struct Moments {
  T mean, scale;
};

// In two passes over the row, which lies in L1: E[x^2] - E[x]^2 would cancel.
template <typename T>
METASCALE_MULTIVERSION Moments<T> moments(const T* x, std::int64_t D, T epsilon) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < D; ++i) sum += x[i];
  const T mean = sum / T(D);
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < D; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt(squares / T(D) + epsilon)};
}

template <typename T>
METASCALE_MULTIVERSION void add_rows(T* sum, const T* a, const T* b, const T* c, std::int64_t D) {
  if (c == nullptr)
    for (std::int64_t i = 0; i < D; ++i) sum[i] = a[i] + b[i];
  else
    for (std::int64_t i = 0; i < D; ++i) sum[i] = a[i] + b[i] + c[i];
}

// The row that is normalised: of x, or of the sum, which is made here. Where the sum is stored in
// bf16, its row, rounded and widened again, lies in the place of y's.
template <typename T, typename Op>
const T* row_to_normalise(const Op& op, std::int64_t r, std::int64_t D) {
  const std::int64_t first = r * D;
  const T* x = op.x.template pointer<T>() + first;
  if (!op.branch.exists()) return x;
  const bool is_narrow = op.sum.dtype == Dtype::bf16;
  T* row = (is_narrow ? op.y : op.sum).template pointer<T>() + first;
  const T* second = op.second_branch.template pointer<T>();
  add_rows(row, x, op.branch.template pointer<T>() + first, second ? second + first : nullptr, D);
  if (is_narrow) {
    bfloat16* stored = op.sum.template pointer<bfloat16>() + first;
    convert(stored, row, D, 1);
    convert(row, stored, D, 1);
  }
  return row;
}

// x may be y.
template <typename T>
METASCALE_MULTIVERSION void normalise(T* y, const T* x, std::int64_t D, Moments<T> m,
                                      const T* __restrict w, const T* __restrict b) {
#pragma omp simd
  for (std::int64_t i = 0; i < D; ++i) y[i] = (x[i] - m.mean) * m.scale * w[i] + b[i];
}

template <typename T>
METASCALE_MULTIVERSION void normalise(T* __restrict y, const T* __restrict x, std::int64_t D,
                                      Moments<T> m) {
  for (std::int64_t i = 0; i < D; ++i) y[i] = (x[i] - m.mean) * m.scale;
}

template <typename T>
METASCALE_MULTIVERSION void layer_norm_row_backward(T* __restrict dx, const T* __restrict dy,
                                                    const T* __restrict x, const T* __restrict w,
                                                    std::int64_t D, Moments<T> m, bool fresh) {
  T sum_g = 0, sum_gh = 0;
#pragma omp simd reduction(+ : sum_g, sum_gh)
  for (std::int64_t i = 0; i < D; ++i) {
    const T g = w[i] * dy[i];
    sum_g += g;
    sum_gh += g * ((x[i] - m.mean) * m.scale);
  }
  const T mean_g = sum_g / T(D), mean_gh = sum_gh / T(D);
  const auto term = [=](std::int64_t i) {
    return m.scale * (w[i] * dy[i] - mean_g - (x[i] - m.mean) * m.scale * mean_gh);
  };
  if (fresh)
    for (std::int64_t i = 0; i < D; ++i) dx[i] = term(i);
  else
    for (std::int64_t i = 0; i < D; ++i) dx[i] += term(i);
}

// partial[0] += dy h, partial[1] += dy
template <typename T>
METASCALE_MULTIVERSION void layer_norm_columns(T (*__restrict partial)[column_block], Range rows,
                                               Range columns, std::int64_t D,
                                               const T* __restrict dy, const T* __restrict x,
                                               const T* __restrict mean,
                                               const T* __restrict scale) {
  const std::int64_t width = columns.last - columns.first;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const T* dy_row = dy + r * D + columns.first;
    const T* x_row = x + r * D + columns.first;
    const T m = mean[r], s = scale[r];
    for (std::int64_t i = 0; i < width; ++i) {
      partial[0][i] += dy_row[i] * ((x_row[i] - m) * s);
      partial[1][i] += dy_row[i];
    }
  }
}

template <typename T>
METASCALE_MULTIVERSION T inverse_root_mean_square(const T* x, std::int64_t D, T epsilon) {
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < D; ++i) squares += x[i] * x[i];
  return 1 / std::sqrt(squares / T(D) + epsilon);
}

// x may be y.
template <typename T>
METASCALE_MULTIVERSION void scale_row(T* y, const T* x, const T* __restrict w, std::int64_t D,
                                      T s) {
#pragma omp simd
  for (std::int64_t i = 0; i < D; ++i) y[i] = x[i] * s * w[i];
}

template <typename T>
METASCALE_MULTIVERSION void rms_norm_row_backward(T* __restrict dx, const T* __restrict dy,
                                                  const T* __restrict x, const T* __restrict w,
                                                  std::int64_t D, T s, bool fresh) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < D; ++i) sum += w[i] * dy[i] * x[i];
  const T factor = s * s * s * (sum / T(D));
  if (fresh)
    for (std::int64_t i = 0; i < D; ++i) dx[i] = s * w[i] * dy[i] - x[i] * factor;
  else
    for (std::int64_t i = 0; i < D; ++i) dx[i] += s * w[i] * dy[i] - x[i] * factor;
}

template <typename T>
METASCALE_MULTIVERSION void rms_norm_columns(T (*__restrict partial)[column_block], Range rows,
                                             Range columns, std::int64_t D, const T* __restrict dy,
                                             const T* __restrict x, const T* __restrict scale) {
  const std::int64_t width = columns.last - columns.first;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const T* dy_row = dy + r * D + columns.first;
    const T* x_row = x + r * D + columns.first;
    const T s = scale[r];
    for (std::int64_t i = 0; i < width; ++i) partial[0][i] += dy_row[i] * x_row[i] * s;
  }
}

template <typename T>
METASCALE_MULTIVERSION void head_norm_row_backward(T* __restrict dx, const T* __restrict dy,
                                                   const T* __restrict y, std::int64_t N, T s,
                                                   bool fresh) {
  T sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (std::int64_t i = 0; i < N; ++i) {
    sum += dy[i];
    product += dy[i] * y[i];
  }
  const T mean = sum / T(N), mean_product = product / T(N);
  if (fresh)
    for (std::int64_t i = 0; i < N; ++i) dx[i] = s * (dy[i] - mean - y[i] * mean_product);
  else
    for (std::int64_t i = 0; i < N; ++i) dx[i] += s * (dy[i] - mean - y[i] * mean_product);
}

}  // namespace

void LayerNormForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [R, D] = x.as<T, 2>().extents;
    const T *w = weight.pointer<T>(), *b = bias.pointer<T>();
    T *to = y.pointer<T>(), *means = mean.pointer<T>(), *scales = scale.pointer<T>();
    parallel_for(queue.threads, R, [&, D = D](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* row = row_to_normalise<T>(*this, r, D);
        const Moments<T> m = moments(row, D, T(epsilon));
        normalise(to + r * D, row, D, m, w, b);
        means[r] = m.mean;
        scales[r] = m.scale;
      }
    });
  });
}

void LayerNormBackward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [R, D] = x.as<T, 2>().extents;
    const T *from = x.pointer<T>(), *above = dy.pointer<T>(), *w = weight.pointer<T>();
    const T *means = mean.pointer<T>(), *scales = scale.pointer<T>();
    T* to = dx.pointer<T>();
    parallel_for(queue.threads, R, [&, D = D](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        layer_norm_row_backward(to + r * D, above + r * D, from + r * D, w, D,
                                Moments<T>{means[r], scales[r]}, dx.fresh);
    });
    sum_columns<2, T>(queue.threads, R, D, {dweight.pointer<T>(), dbias.pointer<T>()},
                      {dweight.fresh, dbias.fresh},
                      [&, D = D](auto partial, Range rows, Range columns) {
                        layer_norm_columns(partial, rows, columns, D, above, from, means, scales);
                      });
  });
}

void RmsNormForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [R, D] = x.as<T, 2>().extents;
    const T* w = weight.pointer<T>();
    T *to = y.pointer<T>(), *scales = scale.pointer<T>();
    parallel_for(queue.threads, R, [&, D = D](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const T* row = row_to_normalise<T>(*this, r, D);
        scales[r] = inverse_root_mean_square(row, D, T(epsilon));
        scale_row(to + r * D, row, w, D, scales[r]);
      }
    });
  });
}

void RmsNormBackward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [R, D] = x.as<T, 2>().extents;
    const T *from = x.pointer<T>(), *above = dy.pointer<T>(), *w = weight.pointer<T>();
    const T* scales = scale.pointer<T>();
    T* to = dx.pointer<T>();
    parallel_for(queue.threads, R, [&, D = D](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        rms_norm_row_backward(to + r * D, above + r * D, from + r * D, w, D, scales[r], dx.fresh);
    });
    sum_columns<1, T>(queue.threads, R, D, {dweight.pointer<T>()}, {dweight.fresh},
                      [&, D = D](auto partial, Range rows, Range columns) {
                        rms_norm_columns(partial, rows, columns, D, above, from, scales);
                      });
  });
}

void HeadNormForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [R, H, N] = x.as<T, 3>().extents;
    const T* from = x.pointer<T>();
    T *to = y.pointer<T>(), *scales = scale.pointer<T>();
    parallel_for(queue.threads, R * H, [&, N = N](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        const Moments<T> m = moments(from + r * N, N, T(epsilon));
        normalise(to + r * N, from + r * N, N, m);
        scales[r] = m.scale;
      }
    });
  });
}

void HeadNormBackward::on(CpuQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    const auto [R, H, N] = dy.as<T, 3>().extents;
    const T *above = dy.pointer<T>(), *result = y.pointer<T>(), *scales = scale.pointer<T>();
    T* to = dx.pointer<T>();
    parallel_for(queue.threads, R * H, [&, N = N](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        head_norm_row_backward(to + r * N, above + r * N, result + r * N, N, scales[r], dx.fresh);
    });
  });
}

}  // namespace metascale
