#include "kernels/embedding.hpp"

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/memory.hpp"

namespace metascale {
namespace {

constexpr int warps = 4;       // rows of a block of the backward
constexpr int looked_at = 4;   // tokens that a lane compares at a time
constexpr int read_ahead = 4;  // rows of a token that are under way at once

template <typename S, typename T>
struct LookUp {
  S* y;
  const std::int32_t* tokens;
  cuda::EitherOf<S, T> weight;  // a matrix: the parameters themselves, or their copy in S
  std::int64_t D;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    cuda::store(y + i, cuda::read<Width>(weight, tokens[i / D] * D + i % D));
  }
};

// Whether the warp's row is the first of its token.
__device__ bool is_first(const std::int32_t* tokens, std::int64_t r) {
  const std::int32_t token = tokens[r];
  constexpr int step = cuda::warp_size * looked_at;
  for (std::int64_t base = 0; base < r; base += step) {
    bool found = false;
    for (int i = 0; i < looked_at; ++i) {
      const std::int64_t row = base + i * cuda::warp_size + cuda::lane();
      found = found || (row < r && tokens[row] == token);
    }
    if (__ballot_sync(0xffffffffu, found)) return false;
  }
  return true;
}

// Lanes whose row of [base, base + 32) is one of [first, last) and has this token.
__device__ unsigned rows_with(const std::int32_t* tokens, std::int32_t token, std::int64_t base,
                              std::int64_t first, std::int64_t last) {
  const std::int64_t row = base + cuda::lane();
  return __ballot_sync(0xffffffffu, row >= first && row < last && tokens[row] == token);
}

// One warp per row and 32 packs of channels: that of a token's first row adds all rows of the
// token, in order; no other warp touches these channels, and no order of threads changes the sum.
template <int Width, typename S, typename T>
__global__ void embedding_backward(T* dweight, const S* dy, const std::int32_t* tokens,
                                   std::int64_t R, std::int64_t D) {
  const std::int64_t r = std::int64_t(blockIdx.x) * warps + cuda::warp();
  if (r >= R || !is_first(tokens, r)) return;
  const std::int64_t d = (std::int64_t(blockIdx.y) * cuda::warp_size + cuda::lane()) * Width;
  const bool has_channels = d < D;
  cuda::Numbers<T, Width> sum{};
  for (std::int64_t base = r; base < R; base += cuda::warp_size) {
    unsigned rows = rows_with(tokens, tokens[r], base, r, R);
    while (rows) {
      cuda::Numbers<T, Width> next[read_ahead] = {};
      for (auto& of_row : next) {
        if (rows && has_channels)
          of_row = cuda::read<T, Width>(dy + (base + __ffs(int(rows)) - 1) * D + d);
        rows &= rows - 1;  // of none: none
      }
      for (const auto& of_row : next)
        for (int w = 0; w < Width; ++w) sum[w] += of_row[w];
    }
  }
  if (has_channels) cuda::add_to(dweight + tokens[r] * D + d, sum, false);
}

}  // namespace

void EmbeddingForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("embedding_forward", queue.stream, y.size(),
                       cuda::has_packed_rows(weight.shape[1], y, weight),
                       LookUp<S, T>{y.pointer<S>(), tokens.pointer<std::int32_t>(),
                                    cuda::EitherOf<S, T>(weight), weight.shape[1]});
  });
}

void EmbeddingBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    if (dweight.fresh)
      cuda::clear(static_cast<std::byte*>(dweight.data), dweight.bytes(), queue.stream);
    const std::int64_t D = dweight.shape[1];
    const bool packed = cuda::has_packed_rows(D, dweight, dy);
    const int width = packed ? cuda::pack_width : 1;
    const cuda::Grid grid{.blocks = dim3(cuda::groups(tokens.size(), warps),
                                         cuda::groups(D, std::int64_t(cuda::warp_size) * width)),
                          .threads = warps * cuda::warp_size};
    cuda::launch("embedding_backward",
                 packed ? embedding_backward<cuda::pack_width, S, T> : embedding_backward<1, S, T>,
                 grid, queue.stream, dweight.pointer<T>(), dy.pointer<S>(),
                 tokens.pointer<std::int32_t>(), tokens.size(), D);
  });
}

}  // namespace metascale
