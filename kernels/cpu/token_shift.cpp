#include "kernels/token_shift.hpp"

#include <algorithm>

#include "core/parallel.hpp"
#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/sequences.hpp"

namespace metascale {
namespace {

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

// partial[m] += dy^m_t (x_{t-1} - x_t); the difference is formed once for all mixes.
template <typename T>
METASCALE_MULTIVERSION void mix_columns(T (*__restrict partial)[column_block], Range rows,
                                        Range columns, const Sequences<T>& of,
                                        const std::array<const T*, max_mixes>& dy, int mixes) {
  const std::int64_t width = columns.last - columns.first;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const std::int64_t offset = r * of.D + columns.first;
    const T *x = of.x + offset, *before = of.before(r);
    T difference[column_block];
    if (before == nullptr)
      for (std::int64_t i = 0; i < width; ++i) difference[i] = -x[i];
    else
      for (std::int64_t i = 0; i < width; ++i) difference[i] = before[columns.first + i] - x[i];
    for (int m = 0; m < mixes; ++m) {
      const T* row = dy[std::size_t(m)] + offset;
      for (std::int64_t i = 0; i < width; ++i) partial[m][i] += row[i] * difference[i];
    }
  }
}

template <typename T>
void sum_mix_gradients(const TokenShiftBackward& op, const Sequences<T>& of, int threads) {
  std::array<const T*, max_mixes> above{};
  std::array<T*, max_mixes> targets{};
  std::array<bool, max_mixes> fresh{};
  for (std::size_t m = 0; m < std::size_t(op.mixes); ++m) {
    above[m] = op.dy[m].pointer<T>();
    targets[m] = op.dmix[m].pointer<T>();
    fresh[m] = op.dmix[m].fresh;
  }
  sum_columns<max_mixes, T>(threads, op.x.shape[0] * op.x.shape[1], of.D, targets, fresh,
                            [&](auto partial, Range rows, Range columns) {
                              mix_columns(partial, rows, columns, of, above, op.mixes);
                            });
}

}  // namespace

void TokenShiftForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const Sequences<T> of = sequences<T>(x, previous, first);
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
    const Sequences<T> of = sequences<T>(x, previous, first);
    const std::int64_t R = x.shape[0] * x.shape[1], D = of.D;
    parallel_for(queue.threads, R, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        for (std::size_t m = 0; m < std::size_t(mixes); ++m) {
          const T* above = dy[m].pointer<T>() + r * D;
          const T* next = of.documents.ends(r) ? nullptr : above + D;
          shift_row_backward(dx.pointer<T>() + r * D, above, next, mix[m].pointer<T>(), D,
                             dx.fresh && m == 0);
        }
    });
    sum_mix_gradients(*this, of, queue.threads);
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
