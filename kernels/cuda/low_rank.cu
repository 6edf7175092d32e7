#include "kernels/low_rank.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/head_sum.cuh"
#include "kernels/cuda/sequences.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::stored;

// Where a column of a half lies: the map, the column of it, and how many that has.
struct Place {
  std::size_t map;
  std::int64_t column, width;
};

template <typename A>
struct Maps {
  A* of[max_maps];               // nullptr behind the last
  std::int64_t width[max_maps];  // R_m

  __device__ Place place(std::int64_t column) const {
    std::size_t map = 0;
    for (; column >= width[map]; ++map) column -= width[map];
    return {map, column, width[map]};
  }
};

template <typename A>
Maps<A> maps_of(const PerMap& tensors, int maps) {
  Maps<A> result{};
  for (int m = 0; m < maps; ++m) {
    const Tensor& tensor = tensors[std::size_t(m)];
    result.of[m] = tensor.pointer<A>();
    result.width[m] = tensor.shape[tensor.shape.rank - 1];
  }
  return result;
}

using Flags = std::array<bool, max_maps>;

Flags fresh_of(const PerMap& gradients) {
  Flags result{};
  for (std::size_t m = 0; m < result.size(); ++m) result[m] = gradients[m].fresh;
  return result;
}

template <typename T>
__device__ T value(HiddenKind kind, T x) {
  switch (kind) {
    case HiddenKind::linear: return x;
    case HiddenKind::tanh: return std::tanh(x);
    case HiddenKind::sigmoid: return 1 / (1 + std::exp(-x));
  }
  return x;
}

template <typename T>
__device__ T slope(HiddenKind kind, T y) {
  switch (kind) {
    case HiddenKind::linear: return 1;
    case HiddenKind::tanh: return 1 - y * y;
    case HiddenKind::sigmoid: return y * (1 - y);
  }
  return 1;
}

// Element i of (D, R) makes the same one of both halves.
template <typename S, typename T>
struct Join {
  S* joined;
  Maps<const T> weight, mix;
  std::int64_t half;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t d = i / half, column = i % half;
    const Place at = weight.place(column);
    const T w = weight.of[at.map][d * at.width + at.column], share = mix.of[at.map][d];
    S* row = joined + 2 * d * half;
    row[column] = stored<S>((1 - share) * w);
    row[half + column] = stored<S>(share * w);
  }
};

// One warp per map of a row of djoined.
template <typename S, typename T>
struct JoinBackward {
  const S* djoined;
  Maps<T> dweight, dmix;
  Maps<const T> weight, mix;
  Flags fresh_weight, fresh_mix;
  std::int64_t half;
  __device__ void operator()(std::int64_t d, std::int64_t map) const {
    std::int64_t start = 0;
    for (int m = 0; m < map; ++m) start += weight.width[m];
    const S *own = djoined + 2 * d * half + start, *next = own + half;
    const std::int64_t width = weight.width[map], first = d * width;
    const T share = mix.of[map][d];
    T sum = 0;
    for (std::int64_t i = cuda::lane(); i < width; i += cuda::warp_size) {
      const T a = own[i], b = next[i];
      accumulate(dweight.of[map][first + i], (1 - share) * a + share * b,
                 fresh_weight[std::size_t(map)]);
      sum += weight.of[map][first + i] * (b - a);
    }
    sum = cuda::warp_sum(sum);
    if (cuda::lane() == 0) accumulate(dmix.of[map][d], sum, fresh_mix[std::size_t(map)]);
  }
};

// Element i of (B*T, R).
template <typename S, typename T>
struct Split {
  Maps<S> hidden;
  cuda::Sequences<S, T> of;
  HiddenKinds kind;
  std::int64_t half;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t r = i / half, column = i % half;
    const Place at = hidden.place(column);
    const T sum = T(of.x[2 * r * half + column]) + of.template before<1>(r, half + column)[0];
    hidden.of[at.map][r * at.width + at.column] = stored<S>(value(kind[at.map], sum));
  }
};

// Element i of (B*T, R) writes its own half and the other one's, of its own row.
template <typename S, typename T>
struct SplitBackward {
  S *dproduct, *dprevious;  // dprevious: may be nullptr
  Maps<const S> dhidden, hidden;
  HiddenKinds kind;
  Documents documents;
  std::int64_t half;
  bool fresh, fresh_previous;

  __device__ T gradient(std::int64_t r, const Place& at) const {
    const std::int64_t i = r * at.width + at.column;
    return T(dhidden.of[at.map][i]) * slope(kind[at.map], T(hidden.of[at.map][i]));
  }
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t r = i / half, column = i % half;
    const Place at = hidden.place(column);
    const T own = gradient(r, at);
    S* row = dproduct + 2 * r * half + column;
    add_to(row[0], own, fresh);
    add_to(row[half], documents.ends(r) ? T(0) : gradient(r + 1, at), fresh);
    if (dprevious == nullptr || r % documents.length != 0) return;
    S* before = dprevious + 2 * (r / documents.length) * half + column;
    add_to(before[0], T(0), fresh_previous);
    add_to(before[half], documents.starts(r) ? T(0) : own, fresh_previous);
  }
};

}  // namespace

void JoinFactorsForward::on(CudaQueue& queue) const {
  cuda::with_storage(joined.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("join_factors_forward", queue.stream, joined.size() / 2,
                          Join<S, T>{joined.pointer<S>(), maps_of<const T>(weight, maps),
                                     maps_of<const T>(mix, maps), joined.shape[1] / 2});
  });
}

void JoinFactorsBackward::on(CudaQueue& queue) const {
  cuda::with_storage(djoined.dtype, [&]<typename S, typename T>() {
    cuda::launch_heads(
        "join_factors_backward", queue.stream, djoined.shape[0], maps,
        JoinBackward<S, T>{djoined.pointer<S>(), maps_of<T>(dweight, maps), maps_of<T>(dmix, maps),
                           maps_of<const T>(weight, maps), maps_of<const T>(mix, maps),
                           fresh_of(dweight), fresh_of(dmix), djoined.shape[1] / 2});
  });
}

void SplitHiddenForward::on(CudaQueue& queue) const {
  cuda::with_storage(product.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "split_hidden_forward", queue.stream, product.size() / 2,
        Split<S, T>{maps_of<S>(hidden, maps), cuda::sequences<S, T>(product, previous, first), kind,
                    product.shape[2] / 2});
  });
}

void SplitHiddenBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dproduct.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "split_hidden_backward", queue.stream, dproduct.size() / 2,
        SplitBackward<S, T>{dproduct.pointer<S>(), dprevious.pointer<S>(),
                            maps_of<const S>(dhidden, maps), maps_of<const S>(hidden, maps), kind,
                            Documents{first.pointer<std::int32_t>(), dproduct.shape[1]},
                            dproduct.shape[2] / 2, dproduct.fresh, dprevious.fresh});
  });
}

}  // namespace metascale
