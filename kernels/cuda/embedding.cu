#include "kernels/embedding.hpp"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/memory.hpp"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

constexpr int warps = 4;  // rows of a block of the backward

template <typename S, typename T>
struct LookUp {
  S* y;
  const std::int32_t* tokens;
  cuda::EitherOf<S, T> weight;  // a matrix: the parameters themselves, or their copy in S
  std::int64_t D;
  __device__ void operator()(std::int64_t i) const {
    y[i] = cuda::stored<S>(weight[tokens[i / D] * D + i % D]);
  }
};

// Lanes of the warp whose row of [base, base + 32) lies in [first, last) and has this token.
__device__ unsigned rows_with(const std::int32_t* tokens, std::int32_t token, std::int64_t base,
                              std::int64_t first, std::int64_t last) {
  const std::int64_t row = base + threadIdx.x % cuda::warp_size;
  return __ballot_sync(0xffffffffu, row >= first && row < last && tokens[row] == token);
}

// One warp per row: that of a token's first row adds all rows of the token, in order; no other warp
// touches the token, and no order of threads changes the sum.
template <typename S, typename T>
__global__ void embedding_backward(T* dweight, const S* dy, const std::int32_t* tokens,
                                   std::int64_t R, std::int64_t D) {
  const std::int64_t r = std::int64_t(blockIdx.x) * warps + threadIdx.x / cuda::warp_size;
  if (r >= R) return;
  const std::int32_t token = tokens[r];
  for (std::int64_t base = 0; base < r; base += cuda::warp_size)
    if (rows_with(tokens, token, base, 0, r)) return;
  const std::int64_t lane = threadIdx.x % cuda::warp_size;
  T* to = dweight + token * D;
  for (std::int64_t base = r; base < R; base += cuda::warp_size)
    for (unsigned rows = rows_with(tokens, token, base, r, R); rows; rows &= rows - 1) {
      const S* from = dy + (base + __ffs(int(rows)) - 1) * D;
      for (std::int64_t d = lane; d < D; d += cuda::warp_size) to[d] += T(from[d]);
    }
}

}  // namespace

void EmbeddingForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("embedding_forward", queue.stream, y.size(),
                          LookUp<S, T>{y.pointer<S>(), tokens.pointer<std::int32_t>(),
                                       cuda::EitherOf<S, T>(weight), weight.shape[1]});
  });
}

void EmbeddingBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    if (dweight.fresh)
      cuda::clear(static_cast<std::byte*>(dweight.data), dweight.bytes(), queue.stream);
    const cuda::Grid grid{.blocks = cuda::groups(tokens.size(), warps),
                          .threads = warps * cuda::warp_size};
    cuda::launch("embedding_backward", embedding_backward<S, T>, grid, queue.stream,
                 dweight.pointer<T>(), dy.pointer<S>(), tokens.pointer<std::int32_t>(),
                 tokens.size(), dweight.shape[1]);
  });
}

}  // namespace metascale
