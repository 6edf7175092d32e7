#include "kernels/token_shift.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

template <typename T>
struct Sequences {
  const T* x;
  const T* previous;  // nullptr: zero
  std::int64_t length, D;

  // The token before row r of (B*T); nullptr where that is zero.
  const T* before(std::int64_t r) const {
    if (r % length != 0) return x + (r - 1) * D;
    return previous == nullptr ? nullptr : previous + r / length * D;
  }
};

template <typename T>
Sequences<T> sequences(const Tensor& x, const Tensor& previous) {
  return {x.pointer<T>(), previous.pointer<T>(), x.shape[1], x.shape[2]};
}

template <typename T>
METASCALE_MULTIVERSION void shift_row(T* __restrict y, const T* __restrict x,
                                      const T* __restrict before, const T* __restrict mix,
                                      std::int64_t D) {
  if (before == nullptr)
    for (std::int64_t i = 0; i < D; ++i) y[i] = x[i] - x[i] * mix[i];
  else
    for (std::int64_t i = 0; i < D; ++i) y[i] = x[i] + (before[i] - x[i]) * mix[i];
}

// dx (+)= dy (1 - mix) + next mix, where next is dy of the token after (nullptr: none).
template <typename T>
METASCALE_MULTIVERSION void shift_row_backward(T* __restrict dx, const T* __restrict dy,
                                               const T* __restrict next, const T* __restrict mix,
                                               std::int64_t D, bool fresh) {
  if (fresh) std::fill_n(dx, D, T(0));
  if (next == nullptr)
    for (std::int64_t i = 0; i < D; ++i) dx[i] += dy[i] * (1 - mix[i]);
  else
    for (std::int64_t i = 0; i < D; ++i) dx[i] += dy[i] * (1 - mix[i]) + next[i] * mix[i];
}

template <typename T>
METASCALE_MULTIVERSION void mix_columns(T (*__restrict partial)[column_block], Range rows,
                                        Range columns, const Sequences<T>& of,
                                        const T* __restrict dy) {
  const std::int64_t width = columns.last - columns.first;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const T* dy_row = dy + r * of.D + columns.first;
    const T* x_row = of.x + r * of.D + columns.first;
    const T* before = of.before(r);
    if (before == nullptr) {
      for (std::int64_t i = 0; i < width; ++i) partial[0][i] -= dy_row[i] * x_row[i];
    } else {
      before += columns.first;
      for (std::int64_t i = 0; i < width; ++i) partial[0][i] += dy_row[i] * (before[i] - x_row[i]);
    }
  }
}

}  // namespace

void TokenShiftForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const Sequences<T> of = sequences<T>(x, previous);
    const std::int64_t R = x.shape[0] * x.shape[1], D = of.D;
    parallel_for(queue.threads, R, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::size_t m = 0; m < std::size_t(mixes); ++m)
          shift_row(y[m].pointer<T>() + r * D, of.x + r * D, of.before(r), mix[m].pointer<T>(), D);
    });
  });
}

void TokenShiftBackward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const Sequences<T> of = sequences<T>(x, previous);
    const std::int64_t R = x.shape[0] * x.shape[1], D = of.D;
    parallel_for(queue.threads, R, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::size_t m = 0; m < std::size_t(mixes); ++m) {
          const T* above = dy[m].pointer<T>() + r * D;
          const bool last = (r + 1) % of.length == 0;
          shift_row_backward(dx.pointer<T>() + r * D, above, last ? nullptr : above + D,
                             mix[m].pointer<T>(), D, dx.fresh && m == 0);
        }
    });
    for (std::size_t m = 0; m < std::size_t(mixes); ++m) {
      const T* above = dy[m].pointer<T>();
      sum_columns<1, T>(queue.threads, R, D, {dmix[m].pointer<T>()}, {dmix[m].fresh},
                        [&](auto partial, Range rows, Range columns) {
                          mix_columns(partial, rows, columns, of, above);
                        });
    }
  });
}

void LastToken::on(CpuQueue&) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const auto [B, length, D] = x.as<T, 3>().extents;
    for (std::int64_t b = 0; b < B; ++b)
      std::copy_n(x.pointer<T>() + ((b + 1) * length - 1) * D, D, y.pointer<T>() + b * D);
  });
}

}  // namespace metascale
