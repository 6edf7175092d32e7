#include "kernels/optimizer.hpp"

#include <cmath>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

template <typename T>
struct AdamStep {  // what is the same for all elements is worked out in f64
  T *p, *m, *v;
  bfloat16* copy;  // nullptr: not wanted
  const T* gradients;
  T gradient_scale, beta1, rest1, beta2, rest2;
  T rate;         // rate / (1 - b1^t)
  T root_weight;  // 1 / sqrt(1 - b2^t)
  T epsilon;
  T decay;  // rate weight_decay
  Rounding rounding;

  explicit AdamStep(const AdamW& op)
      : p(op.parameters.pointer<T>()),
        m(op.m.pointer<T>()),
        v(op.v.pointer<T>()),
        copy(op.copy.pointer<bfloat16>()),
        gradients(op.gradients.pointer<T>()),
        gradient_scale(T(op.gradient_scale)),
        beta1(T(op.beta1)),
        rest1(T(1 - op.beta1)),
        beta2(T(op.beta2)),
        rest2(T(1 - op.beta2)),
        rate(T(op.rate / (1 - std::pow(op.beta1, double(op.time))))),
        root_weight(T(1 / std::sqrt(1 - std::pow(op.beta2, double(op.time))))),
        epsilon(T(op.epsilon)),
        decay(T(op.rate * op.weight_decay)),
        rounding(op.rounding) {}

  __device__ void operator()(std::int64_t i) const {
    const T g = gradient_scale * gradients[i];
    const T first = beta1 * m[i] + rest1 * g;
    const T second = beta2 * v[i] + rest2 * (g * g);
    m[i] = first;
    v[i] = second;
    p[i] -= rate * first / (std::sqrt(second) * root_weight + epsilon) + decay * p[i];
    if (copy) copy[i] = cuda::to_bf16(float(p[i]), i, rounding);
  }
};

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

void AdamW::on(CudaQueue& queue) const {
  with_float_type(parameters.dtype, [&]<typename T>() {
    cuda::launch_elements("adamw", queue.stream, parameters.size(), AdamStep<T>(*this));
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
