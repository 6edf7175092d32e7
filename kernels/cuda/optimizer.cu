#include "kernels/optimizer.hpp"

#include <cmath>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

constexpr int adam_threads = 256;
constexpr std::int64_t groups_of_launch = 64;  // whose numbers are parameters of the kernel

template <typename T>
struct GroupStep {
  T rate = 0;         // rate / (1 - b1^t)
  T root_weight = 0;  // 1 / sqrt(1 - b2^t)
  T decay = 0;        // rate weight_decay

  GroupStep() = default;
  GroupStep(const AdamW& op, const AdamGroup& group)
      : rate(T(group.rate / (1 - std::pow(op.beta1, double(group.time))))),
        root_weight(T(1 / std::sqrt(1 - std::pow(op.beta2, double(group.time))))),
        decay(T(group.rate * group.weight_decay)) {}
};

template <typename T>
struct AdamStep {  // what is the same for all elements is worked out in f64
  T *p, *m, *v;
  bfloat16* copy;  // nullptr: not wanted
  const T* gradients;
  const AdamSegment* segments;
  T gradient_scale, beta1, rest1, beta2, rest2, epsilon;
  Rounding rounding;
  std::int64_t first_group;
  GroupStep<T> groups[groups_of_launch];  // from first_group on

  AdamStep(const AdamW& op, std::int64_t first_group)
      : p(op.parameters.pointer<T>()),
        m(op.m.pointer<T>()),
        v(op.v.pointer<T>()),
        copy(op.copy.pointer<bfloat16>()),
        gradients(op.gradients.pointer<T>()),
        segments(static_cast<const AdamSegment*>(op.segments.data)),
        gradient_scale(T(op.gradient_scale)),
        beta1(T(op.beta1)),
        rest1(T(1 - op.beta1)),
        beta2(T(op.beta2)),
        rest2(T(1 - op.beta2)),
        epsilon(T(op.epsilon)),
        rounding(op.rounding),
        first_group(first_group) {
    const auto all = std::int64_t(op.groups.size());
    for (std::int64_t i = 0; i < groups_of_launch && first_group + i < all; ++i)
      groups[i] = GroupStep<T>(op, op.groups[std::size_t(first_group + i)]);
  }

  // i: of the parameters, j: of their moments
  __device__ void update(std::int64_t i, std::int64_t j, const GroupStep<T>& group) const {
    const T g = gradient_scale * gradients[i];
    const T first = beta1 * m[j] + rest1 * g;
    const T second = beta2 * v[j] + rest2 * (g * g);
    m[j] = first;
    v[j] = second;
    const T root = std::sqrt(second) * group.root_weight + epsilon;
    p[i] -= group.rate * first / root + group.decay * p[i];
    if (copy) copy[i] = cuda::to_bf16(float(p[i]), i, rounding);
  }
};

// One block per segment.
template <typename T>
__global__ void adamw(AdamStep<T> step) {
  const AdamSegment segment = step.segments[blockIdx.x];
  const std::int64_t number = segment.group - step.first_group;
  if (number < 0 || number >= groups_of_launch) return;  // of another launch
  const GroupStep<T> group = step.groups[number];
  for (std::int64_t i = threadIdx.x; i < segment.count; i += adam_threads)
    step.update(segment.first + i, segment.moment + i, group);
}

constexpr int sum_threads = 256;

// One block per 4096 elements, or one for all partial sums; in f64, in an order that never changes.
template <typename T, bool squared>
__global__ void block_sums(double* sums, const T* x, std::int64_t count, std::int64_t per_block) {
  const std::int64_t begin = std::int64_t(blockIdx.x) * per_block;
  const std::int64_t end = begin + per_block < count ? begin + per_block : count;
  double sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += sum_threads)
    sum += squared ? double(x[i]) * double(x[i]) : double(x[i]);
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

}  // namespace

// One launch, unless there are more groups than a kernel's parameters hold.
void AdamW::on(CudaQueue& queue) const {
  const cuda::Grid grid{.blocks = cuda::groups(segments.shape[0], 1), .threads = adam_threads};
  with_float_type(parameters.dtype, [&]<typename T>() {
    for (std::int64_t first = 0; first < std::int64_t(groups.size()); first += groups_of_launch)
      cuda::launch("adamw", adamw<T>, grid, queue.stream, AdamStep<T>(*this, first));
  });
}

void SumOfSquares::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    double* partial = partials.pointer<double>();
    const cuda::Grid blocks{.blocks = cuda::groups(x.size(), block), .threads = sum_threads};
    cuda::launch("sum_of_squares", block_sums<T, true>, blocks, queue.stream, partial,
                 x.pointer<T>(), x.size(), block);
    cuda::launch("sum_of_partials", block_sums<double, false>,
                 {.blocks = 1, .threads = sum_threads}, queue.stream, sum.pointer<double>(),
                 partial, partials.size(), partials.size());
  });
}

}  // namespace metascale
