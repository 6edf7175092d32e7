// Sums within a row are in f32 (f64 for f64 operands), as on the CPU.
#include "kernels/norm.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/head_lanes.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::LaneNumbers;
using cuda::numbers;
using cuda::pack_width;
using cuda::read;
using cuda::store;
using cuda::stored;

constexpr int most_row_warps = 4;  // rows of a block of LayerNorm and RMSNorm
constexpr std::int64_t shared_rows_bytes = 48 * 1024;

// One warp per row, as many to a block as have their rows in 48 KiB of shared memory.
template <typename T>
cuda::Grid one_warp_per_row(std::int64_t rows, std::int64_t D, bool is_kept) {
  const std::int64_t bytes = D * std::int64_t(sizeof(T));
  const std::int64_t warps = std::clamp<std::int64_t>(
      shared_rows_bytes / std::max<std::int64_t>(bytes, 1), 1, most_row_warps);
  return {.blocks = cuda::groups(rows, warps),
          .threads = unsigned(warps * cuda::warp_size),
          .shared_bytes = is_kept ? std::size_t(warps * bytes) : 0};
}

// The row that a warp works on; there may be none left.
__device__ std::int64_t row_of_warp() {
  return std::int64_t(blockIdx.x) * (blockDim.x / cuda::warp_size) + cuda::warp();
}

// body(d) for the packs of a row of D elements that the calling lane has: every time the same ones.
template <int Width, typename Body>
__device__ void each_of_row(std::int64_t D, Body&& body) {
  for (std::int64_t d = std::int64_t(cuda::lane()) * Width; d < D; d += cuda::warp_size * Width)
    body(d);
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

  template <int Width>
  __device__ cuda::Numbers<T, Width> at(std::int64_t i) const {
    auto numbers = read<T, Width>(x + i);
    if (!branch) return numbers;
    const auto first = read<T, Width>(branch + i);
    for (int w = 0; w < Width; ++w) numbers[w] += first[w];
    if (second_branch) {
      const auto second = read<T, Width>(second_branch + i);
      for (int w = 0; w < Width; ++w) numbers[w] += second[w];
    }
    for (int w = 0; w < Width; ++w) numbers[w] = T(stored<S>(numbers[w]));
    store(sum + i, numbers);
    return numbers;
  }
};

// The row stays in shared memory, so x is read once and the variance is that of centred values
// (E[x^2] - E[x]^2 would cancel).
template <int Width, typename S, typename T>
__global__ void layer_norm_forward(View<S, 2> y, View<T, 1> mean, View<T, 1> scale,
                                   Summands<S, T> x, View<const T, 1> weight, View<const T, 1> bias,
                                   T epsilon) {
  const std::int64_t r = row_of_warp(), D = y.extents[1];
  if (r >= y.extents[0]) return;
  T* row = cuda::dynamic_shared<T>() + cuda::warp() * D;
  T sum = 0;
  each_of_row<Width>(D, [&](std::int64_t d) {
    const auto numbers = x.template at<Width>(r * D + d);
    store(row + d, numbers);
    for (int w = 0; w < Width; ++w) sum += numbers[w];
  });
  const T m = cuda::warp_sum(sum) / T(D);
  T squares = 0;
  each_of_row<Width>(D, [&](std::int64_t d) {
    const auto numbers = read<T, Width>(row + d);
    for (int w = 0; w < Width; ++w) squares += (numbers[w] - m) * (numbers[w] - m);
  });
  const T s = 1 / std::sqrt(cuda::warp_sum(squares) / T(D) + epsilon);
  each_of_row<Width>(D, [&](std::int64_t d) {
    const auto from = read<T, Width>(row + d);
    const auto by = read<T, Width>(&weight(d)), shift = read<T, Width>(&bias(d));
    store(&y(r, d), numbers<Width>([&](int w) { return (from[w] - m) * s * by[w] + shift[w]; }));
  });
  if (cuda::lane() == 0) {
    mean(r) = m;
    scale(r) = s;
  }
}

template <int Width, typename S, typename T>
__global__ void layer_norm_backward(View<S, 2> dx, View<const S, 2> dy, View<const S, 2> x,
                                    View<const T, 1> weight, View<const T, 1> mean,
                                    View<const T, 1> scale, bool fresh) {
  const std::int64_t r = row_of_warp(), D = x.extents[1];
  if (r >= x.extents[0]) return;
  const T m = mean(r), s = scale(r);
  // body(d, g, h): g = dL/dh of the normed number h.
  const auto each_pack = [&](auto&& body) {
    each_of_row<Width>(D, [&](std::int64_t d) {
      const auto above = read<T, Width>(&dy(r, d)), from = read<T, Width>(&x(r, d));
      const auto by = read<T, Width>(&weight(d));
      body(d, numbers<Width>([&](int w) { return by[w] * above[w]; }),
           numbers<Width>([&](int w) { return (from[w] - m) * s; }));
    });
  };
  T sum_g = 0, sum_gh = 0;
  each_pack([&](std::int64_t, const auto& g, const auto& h) {
    for (int w = 0; w < Width; ++w) {
      sum_g += g[w];
      sum_gh += g[w] * h[w];
    }
  });
  const T mean_g = cuda::warp_sum(sum_g) / T(D), mean_gh = cuda::warp_sum(sum_gh) / T(D);
  each_pack([&](std::int64_t d, const auto& g, const auto& h) {
    add_to(&dx(r, d), numbers<Width>([&](int w) { return s * (g[w] - mean_g - h[w] * mean_gh); }),
           fresh);
  });
}

// dweight and dbias of a LayerNorm.
template <typename S, typename T>
struct LayerNormColumns {
  View<const S, 2> dy, x;
  View<const T, 1> mean, scale;
  template <int Width>
  __device__ std::array<cuda::Numbers<T, Width>, 2> at(std::int64_t r, std::int64_t d) const {
    const auto above = read<T, Width>(&dy(r, d)), from = read<T, Width>(&x(r, d));
    const T m = mean(r), s = scale(r);
    return {numbers<Width>([&](int w) { return above[w] * ((from[w] - m) * s); }), above};
  }
};

// The row stays in shared memory, so x is read once.
template <int Width, typename S, typename T>
__global__ void rms_norm_forward(View<S, 2> y, View<T, 1> scale, Summands<S, T> x,
                                 View<const T, 1> weight, T epsilon) {
  const std::int64_t r = row_of_warp(), D = y.extents[1];
  if (r >= y.extents[0]) return;
  T* row = cuda::dynamic_shared<T>() + cuda::warp() * D;
  T squares = 0;
  each_of_row<Width>(D, [&](std::int64_t d) {
    const auto numbers = x.template at<Width>(r * D + d);
    store(row + d, numbers);
    for (int w = 0; w < Width; ++w) squares += numbers[w] * numbers[w];
  });
  const T s = 1 / std::sqrt(cuda::warp_sum(squares) / T(D) + epsilon);
  each_of_row<Width>(D, [&](std::int64_t d) {
    const auto from = read<T, Width>(row + d), by = read<T, Width>(&weight(d));
    store(&y(r, d), numbers<Width>([&](int w) { return from[w] * s * by[w]; }));
  });
  if (cuda::lane() == 0) scale(r) = s;
}

template <int Width, typename S, typename T>
__global__ void rms_norm_backward(View<S, 2> dx, View<const S, 2> dy, View<const S, 2> x,
                                  View<const T, 1> weight, View<const T, 1> scale, bool fresh) {
  const std::int64_t r = row_of_warp(), D = x.extents[1];
  if (r >= x.extents[0]) return;
  const T s = scale(r);
  // body(d, g, x): g = weight dy
  const auto each_pack = [&](auto&& body) {
    each_of_row<Width>(D, [&](std::int64_t d) {
      const auto above = read<T, Width>(&dy(r, d)), by = read<T, Width>(&weight(d));
      body(d, numbers<Width>([&](int w) { return by[w] * above[w]; }), read<T, Width>(&x(r, d)));
    });
  };
  T sum = 0;
  each_pack([&](std::int64_t, const auto& g, const auto& from) {
    for (int w = 0; w < Width; ++w) sum += g[w] * from[w];
  });
  const T factor = s * s * s * (cuda::warp_sum(sum) / T(D));
  each_pack([&](std::int64_t d, const auto& g, const auto& from) {
    add_to(&dx(r, d), numbers<Width>([&](int w) { return s * g[w] - from[w] * factor; }), fresh);
  });
}

// dweight of an RMSNorm.
template <typename S, typename T>
struct RmsNormColumns {
  View<const S, 2> dy, x;
  View<const T, 1> scale;
  template <int Width>
  __device__ std::array<cuda::Numbers<T, Width>, 1> at(std::int64_t r, std::int64_t d) const {
    const auto above = read<T, Width>(&dy(r, d)), from = read<T, Width>(&x(r, d));
    const T s = scale(r);
    return {numbers<Width>([&](int w) { return above[w] * from[w] * s; })};
  }
};

// A head by a few lanes of a warp [head_lanes.cuh]: heads do not know each other, so all lie in one
// row.
template <typename Lanes, typename S, typename T>
struct HeadNorm {
  static constexpr int Width = Lanes::Width;
  S* y;
  T* scale;
  const S* x;
  std::int64_t N;
  T epsilon;

  __device__ void operator()(std::int64_t, std::int64_t h, bool exists) const {
    const std::int64_t channels = exists ? N : 0;
    LaneNumbers<Lanes, T> centred = {};
    T sum = 0, squares = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      centred[c] = read<T, Width>(x + h * N + n);
      for (int w = 0; w < Width; ++w) sum += centred[c][w];
    });
    const T mean = Lanes::sum(sum) / T(N);
    Lanes::each(channels, [&](int c, std::int64_t) {
      for (int w = 0; w < Width; ++w) {
        centred[c][w] -= mean;
        squares += centred[c][w] * centred[c][w];
      }
    });
    const T by = 1 / std::sqrt(Lanes::sum(squares) / T(N) + epsilon);
    Lanes::each(channels, [&](int c, std::int64_t n) {
      store(y + h * N + n, numbers<Width>([&](int w) { return centred[c][w] * by; }));
    });
    if (exists && Lanes::lane() == 0) scale[h] = by;
  }
};

template <typename Lanes, typename S, typename T>
struct HeadNormGradients {
  static constexpr int Width = Lanes::Width;
  S* dx;
  const S *dy, *y;
  const T* scale;
  std::int64_t N;
  bool fresh;

  __device__ void operator()(std::int64_t, std::int64_t h, bool exists) const {
    const std::int64_t channels = exists ? N : 0;
    LaneNumbers<Lanes, T> above = {}, normed = {};
    T sum = 0, product = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      above[c] = read<T, Width>(dy + h * N + n), normed[c] = read<T, Width>(y + h * N + n);
      for (int w = 0; w < Width; ++w) {
        sum += above[c][w];
        product += above[c][w] * normed[c][w];
      }
    });
    const T mean = Lanes::sum(sum) / T(N), mean_product = Lanes::sum(product) / T(N);
    const T by = exists ? scale[h] : T(0);
    Lanes::each(channels, [&](int c, std::int64_t n) {
      add_to(dx + h * N + n, numbers<Width>([&](int w) {
               return by * (above[c][w] - mean - normed[c][w] * mean_product);
             }),
             fresh);
    });
  }
};

}  // namespace

void LayerNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = y.as<S, 2>();
    const bool packed =
        cuda::has_packed_rows(rows.extents[1], x, y, branch, second_branch, sum, weight, bias);
    cuda::launch("layer_norm_forward",
                 packed ? layer_norm_forward<pack_width, S, T> : layer_norm_forward<1, S, T>,
                 one_warp_per_row<T>(rows.extents[0], rows.extents[1], true), queue.stream, rows,
                 mean.as<T, 1>(), scale.as<T, 1>(), Summands<S, T>(*this), weight.as<const T, 1>(),
                 bias.as<const T, 1>(), T(epsilon));
  });
}

void LayerNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = x.as<const S, 2>(), above = dy.as<const S, 2>();
    const View m = mean.as<const T, 1>(), s = scale.as<const T, 1>();
    const auto [R, D] = rows.extents;
    const bool packed = cuda::has_packed_rows(D, x, dy, dx, weight);
    cuda::launch("layer_norm_backward",
                 packed ? layer_norm_backward<pack_width, S, T> : layer_norm_backward<1, S, T>,
                 one_warp_per_row<T>(R, D, false), queue.stream, dx.as<S, 2>(), above, rows,
                 weight.as<const T, 1>(), m, s, dx.fresh);
    cuda::launch_column_sums<T, 2>(
        "layer_norm_backward_columns", queue,
        {{dweight.pointer<T>(), dbias.pointer<T>()}, {dweight.fresh, dbias.fresh}}, R, D, packed,
        LayerNormColumns<S, T>{above, rows, m, s});
  });
}

void RmsNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = y.as<S, 2>();
    const bool packed =
        cuda::has_packed_rows(rows.extents[1], x, y, branch, second_branch, sum, weight);
    cuda::launch("rms_norm_forward",
                 packed ? rms_norm_forward<pack_width, S, T> : rms_norm_forward<1, S, T>,
                 one_warp_per_row<T>(rows.extents[0], rows.extents[1], true), queue.stream, rows,
                 scale.as<T, 1>(), Summands<S, T>(*this), weight.as<const T, 1>(), T(epsilon));
  });
}

void RmsNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const View rows = x.as<const S, 2>(), above = dy.as<const S, 2>();
    const View s = scale.as<const T, 1>();
    const auto [R, D] = rows.extents;
    const bool packed = cuda::has_packed_rows(D, x, dy, dx, weight);
    cuda::launch("rms_norm_backward",
                 packed ? rms_norm_backward<pack_width, S, T> : rms_norm_backward<1, S, T>,
                 one_warp_per_row<T>(R, D, false), queue.stream, dx.as<S, 2>(), above, rows,
                 weight.as<const T, 1>(), s, dx.fresh);
    cuda::launch_column_sums<T, 1>("rms_norm_backward_columns", queue,
                                   {{dweight.pointer<T>()}, {dweight.fresh}}, R, D, packed,
                                   RmsNormColumns<S, T>{above, rows, s});
  });
}

void HeadNormForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    const auto [heads, N] = x.as<S, 2>().extents;
    cuda::with_head_lanes(N, cuda::are_aligned(x, y), [&, heads = heads, N = N]<typename Lanes>() {
      cuda::launch_head_lanes<Lanes>(
          "head_norm_forward", queue.stream, 1, heads,
          HeadNorm<Lanes, S, T>{y.pointer<S>(), scale.pointer<T>(), x.pointer<S>(), N, T(epsilon)});
    });
  });
}

void HeadNormBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    const auto [heads, N] = y.as<S, 2>().extents;
    cuda::with_head_lanes(
        N, cuda::are_aligned(dx, dy, y), [&, heads = heads, N = N]<typename Lanes>() {
          cuda::launch_head_lanes<Lanes>(
              "head_norm_backward", queue.stream, 1, heads,
              HeadNormGradients<Lanes, S, T>{dx.pointer<S>(), dy.pointer<S>(), y.pointer<S>(),
                                             scale.pointer<T>(), N, dx.fresh});
        });
  });
}

}  // namespace metascale
