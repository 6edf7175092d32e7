#include "kernels/reset.hpp"

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

struct Starts {
  const std::int32_t* first;  // (B, T)
  std::int64_t length, D;     // T, elements of a token

  explicit Starts(const Tensor& positions, std::int64_t elements)
      : first(positions.pointer<std::int32_t>()),
        length(positions.shape[1]),
        D(elements / positions.size()) {}
  // Whether element i is of a document's first token.
  __device__ bool at(std::int64_t i) const { return first[i / D] == i / D % length; }
};

template <typename S, typename T>
struct Reset {
  S* y;
  const S* x;
  Starts starts;
  T value;
  __device__ void operator()(std::int64_t i) const {
    y[i] = starts.at(i) ? cuda::stored<S>(value) : x[i];
  }
};

template <typename S, typename T>
struct PassBack {
  S* dx;
  const S* dy;
  Starts starts;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    cuda::add_to(dx[i], starts.at(i) ? T(0) : T(dy[i]), fresh);
  }
};

}  // namespace

void ResetForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "reset_forward", queue.stream, x.size(),
        Reset<S, T>{y.pointer<S>(), x.pointer<S>(), Starts(first, x.size()), T(value)});
  });
}

void ResetBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "reset_backward", queue.stream, dy.size(),
        PassBack<S, T>{dx.pointer<S>(), dy.pointer<S>(), Starts(first, dy.size()), dx.fresh});
  });
}

}  // namespace metascale
