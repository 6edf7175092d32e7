#include "kernels/reset.hpp"

#include "kernels/cuda/elements.cuh"

namespace metascale {
namespace {

struct Starts {
  const std::int32_t* first;  // (B, T)
  std::int64_t length, D;     // T, elements of a token

  explicit Starts(const Tensor& positions, std::int64_t elements)
      : first(positions.pointer<std::int32_t>()),
        length(positions.shape[1]),
        D(elements / positions.size()) {}
  // Whether element i, and so its pack, is of a document's first token.
  __device__ bool at(std::int64_t i) const { return first[i / D] == i / D % length; }
};

template <typename S, typename T>
struct Reset {
  S* y;
  const S* x;
  Starts starts;
  T value;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto filled = cuda::numbers<Width>([&](int) { return value; });
    cuda::store(y + i, starts.at(i) ? filled : cuda::read<T, Width>(x + i));
  }
};

template <typename S, typename T>
struct PassBack {
  S* dx;
  const S* dy;
  Starts starts;
  bool fresh;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const cuda::Numbers<T, Width> zeros{};
    cuda::add_to(dx + i, starts.at(i) ? zeros : cuda::read<T, Width>(dy + i), fresh);
  }
};

}  // namespace

void ResetForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const Starts starts(first, x.size());
    cuda::launch_packs("reset_forward", queue.stream, x.size(),
                       cuda::has_packed_rows(starts.D, x, y),
                       Reset<S, T>{y.pointer<S>(), x.pointer<S>(), starts, T(value)});
  });
}

void ResetBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    const Starts starts(first, dy.size());
    cuda::launch_packs("reset_backward", queue.stream, dy.size(),
                       cuda::has_packed_rows(starts.D, dy, dx),
                       PassBack<S, T>{dx.pointer<S>(), dy.pointer<S>(), starts, dx.fresh});
  });
}

}  // namespace metascale
