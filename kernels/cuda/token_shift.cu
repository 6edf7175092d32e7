#include "kernels/token_shift.hpp"

#include <tuple>

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/sequences.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::numbers;
using cuda::read;
using cuda::store;

bool are_aligned(const Mixes& tensors) {
  return std::apply([](const auto&... each) { return cuda::are_aligned(each...); }, tensors);
}

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
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const std::int64_t r = i / of.D, d = i % of.D;
    const auto x = read<T, Width>(of.x + i), before = of.template before<Width>(r, d);
    for (int m = 0; m < mixes; ++m) {
      const auto share = read<T, Width>(mix.of[m] + d);
      store(y.of[m] + i,
            numbers<Width>([&](int w) { return x[w] + (before[w] - x[w]) * share[w]; }));
    }
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
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const std::int64_t D = of.D, d = i % D;
    const bool is_last = of.documents.ends(i / D);
    cuda::Numbers<T, Width> sum{};
    for (int m = 0; m < mixes; ++m) {
      const auto share = read<T, Width>(mix.of[m] + d), above = read<T, Width>(dy.of[m] + i);
      const auto next = is_last ? cuda::Numbers<T, Width>{} : read<T, Width>(dy.of[m] + i + D);
      for (int w = 0; w < Width; ++w) sum[w] += above[w] * (1 - share[w]) + next[w] * share[w];
    }
    add_to(dx + i, sum, fresh);
  }
};

// dmix of all mixes; absent ones get zeros.
template <typename S, typename T>
struct MixColumns {
  cuda::Sequences<S, T> of;
  Pointers<const S> dy;
  template <int Width>
  __device__ auto at(std::int64_t r, std::int64_t d) const {
    const std::int64_t i = r * of.D + d;
    const auto x = read<T, Width>(of.x + i), before = of.template before<Width>(r, d);
    std::array<cuda::Numbers<T, Width>, max_mixes> terms{};
    for (int m = 0; m < max_mixes; ++m) {
      if (!dy.of[m]) continue;
      const auto above = read<T, Width>(dy.of[m] + i);
      terms[std::size_t(m)] = numbers<Width>([&](int w) { return above[w] * (before[w] - x[w]); });
    }
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
    cuda::launch_packs(
        "token_shift_forward", queue.stream, x.size(),
        cuda::has_packed_rows(x.shape[2], x, previous) && are_aligned(y) && are_aligned(mix),
        Shift<S, T>{pointers<S>(y, mixes), cuda::sequences<S, T>(x, previous, first),
                    pointers<const T>(mix, mixes), mixes});
  });
}

void TokenShiftBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const cuda::Sequences<S, T> of = cuda::sequences<S, T>(x, previous, first);
    const Pointers<const S> above = pointers<const S>(dy, mixes);
    const bool packed = cuda::has_packed_rows(of.D, x, previous) && are_aligned(dy);
    cuda::launch_packs("token_shift_backward", queue.stream, x.size(),
                       packed && cuda::are_aligned(dx) && are_aligned(mix),
                       ShiftBackward<S, T>{dx.pointer<S>(), above, pointers<const T>(mix, mixes),
                                           of, mixes, dx.fresh});
    cuda::ColumnSums<T, max_mixes> sums{};
    for (int m = 0; m < mixes; ++m) {
      sums.sums[m] = dmix[std::size_t(m)].pointer<T>();
      sums.fresh[m] = dmix[std::size_t(m)].fresh;
    }
    cuda::launch_column_sums<T, max_mixes>("token_shift_backward_mix", queue, sums,
                                           x.shape[0] * x.shape[1], of.D, packed,
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
