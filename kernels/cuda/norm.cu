// Sums within a row are in f32 (f64 for f64 operands), as on the CPU.
#include "kernels/norm.hpp"

#include <cmath>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::stored;

constexpr int row_threads = 256;
constexpr int head_warps = 4;  // heads of a block of HeadNorm

template <typename S>
cuda::Grid one_block_per_row(View<S, 2> x) {
  return {.blocks = cuda::groups(x.extents[0], 1), .threads = row_threads};
}
template <typename T, typename S>
cuda::Grid one_block_per_row_kept(View<S, 2> x) {  // in shared memory, as T
  cuda::Grid grid = one_block_per_row(x);
  grid.shared_bytes = std::size_t(x.extents[1]) * sizeof(T);
  return grid;
}
template <typename S>
cuda::Grid one_warp_per_head(View<S, 2> x) {
  return {.blocks = cuda::groups(x.extents[0], head_warps),
          .threads = head_warps * cuda::warp_size};
}

// What is normalised: x, or x + branch (+ second_branch), stored on the way.
template <typename S, typename T>
struct Summands {
  const S *x, *branch, *second_branch;  // branches: may be nullptr
  S* sum;

  template <typename Op>
  explicit Summands(const Op& op)
      : x(op.x.template pointer<S>()),
        branch(op.branch.template pointer<S>()),
        second_branch(op.second_branch.template pointer<S>()),
        sum(op.sum.template pointer<S>()) {}

  __device__ T operator()(std::int64_t i) const {
    if (!branch) return T(x[i]);
    const T two = T(x[i]) + T(branch[i]);
    const S rounded = stored<S>(second_branch ? two + T(second_branch[i]) : two);
    sum[i] = rounded;
    return T(rounded);
  }
};

// One block per row; the row stays in shared memory, so x is read once and the variance is that of
// centred values (E[x^2] - E[x]^2 would cancel).
template <typename S, typename T>
__global__ void layer_norm_forward(View<S, 2> y, View<T, 1> mean, View<T, 1> scale,
                                   Summands<S, T> x, View<const T, 1> w, View<const T, 1> b,
                                   T epsilon) {
  T* row = cuda::dynamic_shared<T>();  // (D)
  const std::int64_t r = blockIdx.x, D = y.extents[1];
  T sum = 0;
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) sum += row[d] = x(r * D + d);
  const T m = cuda::block_sum(sum) / T(D);
  T squares = 0;
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) squares += (row[d] - m) * (row[d] - m);
  const T s = 1 / std::sqrt(cuda::block_sum(squares) / T(D) + epsilon);
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x)
    y(r, d) = stored<S>((row[d] - m) * s * w(d) + b(d));
  if (threadIdx.x == 0) {
    mean(r) = m;
    scale(r) = s;
  }
}

// One block per row.
template <typename S, typename T>
__global__ void layer_norm_backward(View<S, 2> dx, View<const S, 2> dy, View<const S, 2> x,
                                    View<const T, 1> w, View<const T, 1> mean,
                                    View<const T, 1> scale, bool fresh) {
  const std::int64_t r = blockIdx.x, D = x.extents[1];
  const T m = mean(r), s = scale(r);
  T sum_g = 0, sum_gh = 0;
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) {
    const T g = w(d) * T(dy(r, d));
    sum_g += g;
    sum_gh += g * ((T(x(r, d)) - m) * s);
  }
  const T mean_g = cuda::block_sum(sum_g) / T(D), mean_gh = cuda::block_sum(sum_gh) / T(D);
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) {
    const T h = (T(x(r, d)) - m) * s;
    add_to(dx(r, d), s * (w(d) * T(dy(r, d)) - mean_g - h * mean_gh), fresh);
  }
}

// dweight and dbias of a LayerNorm.
template <typename S, typename T>
struct LayerNormColumns {
  View<const S, 2> dy, x;
  View<const T, 1> mean, scale;
  __device__ std::array<T, 2> operator()(std::int64_t r, std::int64_t d) const {
    const T above = dy(r, d);
    return {above * ((T(x(r, d)) - mean(r)) * scale(r)), above};
  }
};

// One block per row; the row stays in shared memory, so x is read once.
template <typename S, typename T>
__global__ void rms_norm_forward(View<S, 2> y, View<T, 1> scale, Summands<S, T> x,
                                 View<const T, 1> w, T epsilon) {
  T* row = cuda::dynamic_shared<T>();  // (D)
  const std::int64_t r = blockIdx.x, D = y.extents[1];
  T squares = 0;
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) {
    row[d] = x(r * D + d);
    squares += row[d] * row[d];
  }
  const T s = 1 / std::sqrt(cuda::block_sum(squares) / T(D) + epsilon);
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) y(r, d) = stored<S>(row[d] * s * w(d));
  if (threadIdx.x == 0) scale(r) = s;
}

// One block per row.
template <typename S, typename T>
__global__ void rms_norm_backward(View<S, 2> dx, View<const S, 2> dy, View<const S, 2> x,
                                  View<const T, 1> w, View<const T, 1> scale, bool fresh) {
  const std::int64_t r = blockIdx.x, D = x.extents[1];
  const T s = scale(r);
  T sum = 0;
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x) sum += w(d) * T(dy(r, d)) * T(x(r, d));
  const T factor = s * s * s * (cuda::block_sum(sum) / T(D));
  for (std::int64_t d = threadIdx.x; d < D; d += blockDim.x)
    add_to(dx(r, d), s * w(d) * T(dy(r, d)) - T(x(r, d)) * factor, fresh);
}

// dweight of an RMSNorm.
template <typename S, typename T>
struct RmsNormColumns {
  View<const S, 2> dy, x;
  View<const T, 1> scale;
  __device__ std::array<T, 1> operator()(std::int64_t r, std::int64_t d) const {
    return {T(dy(r, d)) * T(x(r, d)) * scale(r)};
  }
};

// The head that a warp works on: of rows * H, four to a block.
__device__ std::int64_t head_of_warp() {
  return std::int64_t(blockIdx.x) * head_warps + threadIdx.x / cuda::warp_size;
}

// One warp per head.
template <typename S, typename T>
__global__ void head_norm_forward(View<S, 2> y, View<T, 1> scale, View<const S, 2> x, T epsilon) {
  const std::int64_t h = head_of_warp(), N = x.extents[1], lane = threadIdx.x % cuda::warp_size;
  if (h >= x.extents[0]) return;
  T sum = 0;
  for (std::int64_t n = lane; n < N; n += cuda::warp_size) sum += T(x(h, n));
  const T m = cuda::warp_sum(sum) / T(N);
  T squares = 0;
  for (std::int64_t n = lane; n < N; n += cuda::warp_size) {
    const T centred = T(x(h, n)) - m;
    squares += centred * centred;
  }
  const T s = 1 / std::sqrt(cuda::warp_sum(squares) / T(N) + epsilon);
  for (std::int64_t n = lane; n < N; n += cuda::warp_size)
    y(h, n) = stored<S>((T(x(h, n)) - m) * s);
  if (lane == 0) scale(h) = s;
}

// One warp per head.
template <typename S, typename T>
__global__ void head_norm_backward(View<S, 2> dx, View<const S, 2> dy, View<const S, 2> y,
                                   View<const T, 1> scale, bool fresh) {
  const std::int64_t h = head_of_warp(), N = y.extents[1], lane = threadIdx.x % cuda::warp_size;
  if (h >= y.extents[0]) return;
  T sum = 0, product = 0;
  for (std::int64_t n = lane; n < N; n += cuda::warp_size) {
    sum += T(dy(h, n));
    product += T(dy(h, n)) * T(y(h, n));
  }
  const T mean = cuda::warp_sum(sum) / T(N), mean_product = cuda::warp_sum(product) / T(N);
  for (std::int64_t n = lane; n < N; n += cuda::warp_size)
    add_to(dx(h, n), scale(h) * (T(dy(h, n)) - mean - T(y(h, n)) * mean_product), fresh);
}

}  // namespace

void LayerNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = y.as<S, 2>();
    cuda::launch("layer_norm_forward", layer_norm_forward<S, T>, one_block_per_row_kept<T>(rows),
                 queue.stream, rows, mean.as<T, 1>(), scale.as<T, 1>(), Summands<S, T>(*this),
                 weight.as<const T, 1>(), bias.as<const T, 1>(), T(epsilon));
  });
}

void LayerNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = x.as<const S, 2>(), above = dy.as<const S, 2>();
    const View m = mean.as<const T, 1>(), s = scale.as<const T, 1>();
    cuda::launch("layer_norm_backward", layer_norm_backward<S, T>, one_block_per_row(rows),
                 queue.stream, dx.as<S, 2>(), above, rows, weight.as<const T, 1>(), m, s, dx.fresh);
    cuda::launch_column_sums<T, 2>(
        "layer_norm_backward_columns", queue.stream,
        {{dweight.pointer<T>(), dbias.pointer<T>()}, {dweight.fresh, dbias.fresh}}, rows.extents[0],
        rows.extents[1], LayerNormColumns<S, T>{above, rows, m, s});
  });
}

void RmsNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = y.as<S, 2>();
    cuda::launch("rms_norm_forward", rms_norm_forward<S, T>, one_block_per_row_kept<T>(rows),
                 queue.stream, rows, scale.as<T, 1>(), Summands<S, T>(*this),
                 weight.as<const T, 1>(), T(epsilon));
  });
}

void RmsNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = x.as<const S, 2>(), above = dy.as<const S, 2>();
    const View s = scale.as<const T, 1>();
    cuda::launch("rms_norm_backward", rms_norm_backward<S, T>, one_block_per_row(rows),
                 queue.stream, dx.as<S, 2>(), above, rows, weight.as<const T, 1>(), s, dx.fresh);
    cuda::launch_column_sums<T, 1>("rms_norm_backward_columns", queue.stream,
                                   {{dweight.pointer<T>()}, {dweight.fresh}}, rows.extents[0],
                                   rows.extents[1], RmsNormColumns<S, T>{above, rows, s});
  });
}

// As rows * H rows of N channels: heads do not know each other.
void HeadNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View heads = x.as<const S, 2>();
    cuda::launch("head_norm_forward", head_norm_forward<S, T>, one_warp_per_head(heads),
                 queue.stream, y.as<S, 2>(), scale.as<T, 1>(), heads, T(epsilon));
  });
}

void HeadNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    const View heads = y.as<const S, 2>();
    cuda::launch("head_norm_backward", head_norm_backward<S, T>, one_warp_per_head(heads),
                 queue.stream, dx.as<S, 2>(), dy.as<const S, 2>(), heads, scale.as<const T, 1>(),
                 dx.fresh);
  });
}

}  // namespace metascale
