#include "kernels/token_shift.hpp"

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/elements.cuh"

namespace metascale {
namespace {

template <typename T>
struct Sequences {
  const T* x;
  const T* previous;  // nullptr: zero
  std::int64_t length, D;

  // Channel d of the token before row r of (B*T).
  __device__ T before(std::int64_t r, std::int64_t d) const {
    if (r % length != 0) return x[(r - 1) * D + d];
    return previous ? previous[r / length * D + d] : T(0);
  }
};

template <typename T>
Sequences<T> sequences(const Tensor& x, const Tensor& previous) {
  return {x.pointer<T>(), previous.pointer<T>(), x.shape[1], x.shape[2]};
}

template <typename T>
struct Pointers {  // of all mixes; nullptr behind the last
  T* of[max_mixes];
};

template <typename T, typename Element>
Pointers<T> pointers(const Mixes& tensors, int mixes) {
  Pointers<T> result{};
  for (int m = 0; m < mixes; ++m) result.of[m] = tensors[std::size_t(m)].pointer<Element>();
  return result;
}

template <typename T>
struct Shift {
  Pointers<T> y;
  Sequences<T> of;
  Pointers<const T> mix;
  int mixes;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t d = i % of.D;
    const T x = of.x[i], difference = of.before(i / of.D, d) - x;
    for (int m = 0; m < mixes; ++m) y.of[m][i] = x + difference * mix.of[m][d];
  }
};

template <typename T>
struct ShiftBackward {
  T* dx;
  Pointers<const T> dy, mix;
  std::int64_t length, D;
  int mixes;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t d = i % D;
    const bool is_last = (i / D + 1) % length == 0;
    T sum = 0;
    for (int m = 0; m < mixes; ++m) {
      const T* above = dy.of[m] + i;
      const T share = mix.of[m][d];
      sum += above[0] * (1 - share) + (is_last ? T(0) : above[D] * share);
    }
    accumulate(dx[i], sum, fresh);
  }
};

// dmix of all mixes; absent ones get zeros.
template <typename T>
struct MixColumns {
  Sequences<T> of;
  Pointers<const T> dy;
  __device__ std::array<T, max_mixes> operator()(std::int64_t r, std::int64_t d) const {
    const std::int64_t i = r * of.D + d;
    const T difference = of.before(r, d) - of.x[i];
    std::array<T, max_mixes> terms{};
    for (int m = 0; m < max_mixes; ++m)
      if (dy.of[m]) terms[std::size_t(m)] = dy.of[m][i] * difference;
    return terms;
  }
};

template <typename T>
struct CopyLast {
  T* y;
  const T* x;
  std::int64_t length, D;
  __device__ void operator()(std::int64_t i) const {
    y[i] = x[((i / D + 1) * length - 1) * D + i % D];
  }
};

}  // namespace

void TokenShiftForward::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    cuda::launch_elements("token_shift_forward", queue.stream, x.size(),
                          Shift<T>{pointers<T, T>(y, mixes), sequences<T>(x, previous),
                                   pointers<const T, T>(mix, mixes), mixes});
  });
}

void TokenShiftBackward::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    const Sequences<T> of = sequences<T>(x, previous);
    const Pointers<const T> above = pointers<const T, T>(dy, mixes);
    cuda::launch_elements("token_shift_backward", queue.stream, x.size(),
                          ShiftBackward<T>{dx.pointer<T>(), above, pointers<const T, T>(mix, mixes),
                                           of.length, of.D, mixes, dx.fresh});
    cuda::ColumnSums<T, max_mixes> sums{};
    for (int m = 0; m < mixes; ++m) {
      sums.sums[m] = dmix[std::size_t(m)].pointer<T>();
      sums.fresh[m] = dmix[std::size_t(m)].fresh;
    }
    cuda::launch_column_sums<T, max_mixes>("token_shift_backward_mix", queue.stream, sums,
                                           x.shape[0] * x.shape[1], of.D, MixColumns<T>{of, above});
  });
}

void LastToken::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    cuda::launch_elements("last_token", queue.stream, y.size(),
                          CopyLast<T>{y.pointer<T>(), x.pointer<T>(), x.shape[1], x.shape[2]});
  });
}

}  // namespace metascale
