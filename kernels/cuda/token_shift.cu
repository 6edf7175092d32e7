#include "kernels/token_shift.hpp"

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/sequences.cuh"

namespace metascale {
namespace {

template <typename T>
struct Pointers {  // of all mixes; nullptr behind the last
  T* of[max_mixes];
};

template <typename T>
Pointers<T> pointers(const Mixes& tensors, int mixes) {
  Pointers<T> result{};
  for (int m = 0; m < mixes; ++m) result.of[m] = tensors[std::size_t(m)].pointer<T>();
  return result;
}

template <typename S, typename T>
struct Shift {
  Pointers<S> y;
  cuda::Sequences<S, T> of;
  Pointers<const T> mix;
  int mixes;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t d = i % of.D;
    const T x = of.x[i], difference = of.before(i / of.D, d) - x;
    for (int m = 0; m < mixes; ++m) y.of[m][i] = cuda::stored<S>(x + difference * mix.of[m][d]);
  }
};

template <typename S, typename T>
struct ShiftBackward {
  S* dx;
  Pointers<const S> dy;
  Pointers<const T> mix;
  cuda::Sequences<S, T> of;
  int mixes;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t D = of.D, d = i % D;
    const bool is_last = of.documents.ends(i / D);
    T sum = 0;
    for (int m = 0; m < mixes; ++m) {
      const S* above = dy.of[m] + i;
      const T share = mix.of[m][d];
      sum += T(above[0]) * (1 - share) + (is_last ? T(0) : T(above[D]) * share);
    }
    cuda::add_to(dx[i], sum, fresh);
  }
};

// dmix of all mixes; absent ones get zeros.
template <typename S, typename T>
struct MixColumns {
  cuda::Sequences<S, T> of;
  Pointers<const S> dy;
  __device__ std::array<T, max_mixes> operator()(std::int64_t r, std::int64_t d) const {
    const std::int64_t i = r * of.D + d;
    const T difference = of.before(r, d) - T(of.x[i]);
    std::array<T, max_mixes> terms{};
    for (int m = 0; m < max_mixes; ++m)
      if (dy.of[m]) terms[std::size_t(m)] = T(dy.of[m][i]) * difference;
    return terms;
  }
};

template <typename To, typename From, typename T>
struct CopyLast {
  To* y;
  const From* x;
  std::int64_t length, D;
  __device__ void operator()(std::int64_t i) const {
    y[i] = cuda::stored<To>(T(x[((i / D + 1) * length - 1) * D + i % D]));
  }
};

}  // namespace

void TokenShiftForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "token_shift_forward", queue.stream, x.size(),
        Shift<S, T>{pointers<S>(y, mixes), cuda::sequences<S, T>(x, previous, first),
                    pointers<const T>(mix, mixes), mixes});
  });
}

void TokenShiftBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const cuda::Sequences<S, T> of = cuda::sequences<S, T>(x, previous, first);
    const Pointers<const S> above = pointers<const S>(dy, mixes);
    cuda::launch_elements("token_shift_backward", queue.stream, x.size(),
                          ShiftBackward<S, T>{dx.pointer<S>(), above, pointers<const T>(mix, mixes),
                                              of, mixes, dx.fresh});
    cuda::ColumnSums<T, max_mixes> sums{};
    for (int m = 0; m < mixes; ++m) {
      sums.sums[m] = dmix[std::size_t(m)].pointer<T>();
      sums.fresh[m] = dmix[std::size_t(m)].fresh;
    }
    cuda::launch_column_sums<T, max_mixes>("token_shift_backward_mix", queue.stream, sums,
                                           x.shape[0] * x.shape[1], of.D,
                                           MixColumns<S, T>{of, above});
  });
}

// A state that is carried to the next execution may be wider than the activations it comes from.
void LastToken::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename To, typename T>() {
    cuda::with_storage(x.dtype, [&]<typename From, typename>() {
      cuda::launch_elements(
          "last_token", queue.stream, y.size(),
          CopyLast<To, From, T>{y.pointer<To>(), x.pointer<From>(), x.shape[1], x.shape[2]});
    });
  });
}

}  // namespace metascale
