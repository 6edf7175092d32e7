#include "kernels/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/cpu/blocks.hpp"
#include "kernels/cpu/convert.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

template <typename T>
struct Step {  // of a group, with what is the same for all its elements worked out in f64
  T gradient_scale, beta1, rest1, beta2, rest2;
  T rate;         // rate / (1 - b1^t)
  T root_weight;  // 1 / sqrt(1 - b2^t)
  T epsilon;
  T decay;  // rate weight_decay

  Step(const AdamW& op, const AdamGroup& group)
      : gradient_scale(T(op.gradient_scale)),
        beta1(T(op.beta1)),
        rest1(T(1 - op.beta1)),
        beta2(T(op.beta2)),
        rest2(T(1 - op.beta2)),
        rate(T(group.rate / (1 - std::pow(op.beta1, double(group.time))))),
        root_weight(T(1 / std::sqrt(1 - std::pow(op.beta2, double(group.time))))),
        epsilon(T(op.epsilon)),
        decay(T(group.rate * group.weight_decay)) {}
};

template <typename T>
METASCALE_MULTIVERSION void adam_block(T* __restrict p, T* __restrict m, T* __restrict v,
                                       const T* __restrict gradients, std::int64_t count,
                                       const Step<T> step) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T g = step.gradient_scale * gradients[i];
    const T first = step.beta1 * m[i] + step.rest1 * g;
    const T second = step.beta2 * v[i] + step.rest2 * (g * g);
    m[i] = first;
    v[i] = second;
    const T root = std::sqrt(second) * step.root_weight + step.epsilon;
    p[i] -= step.rate * first / root + step.decay * p[i];
  }
}

void round_copy(const AdamW& op, const AdamSegment& segment) {
  Rounding rounding = op.rounding;
  rounding.first += segment.first;
  round_to_bf16(op.copy.pointer<bfloat16>() + segment.first,
                op.parameters.pointer<float>() + segment.first, segment.count, rounding, 1);
}

template <typename T>
METASCALE_MULTIVERSION double sum_of_squares(const T* x, std::int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += double(x[i]) * double(x[i]);
  return sum;
}

}  // namespace

void AdamW::on(CpuQueue& queue) const {
  const auto* all = static_cast<const AdamSegment*>(segments.data);
  with_float_type(parameters.dtype, [&]<typename T>() {
    parallel_for(queue.threads, segments.shape[0], [&](std::int64_t begin, std::int64_t end) {
      std::optional<Step<T>> step;  // of the group of the segment before, mostly the same
      std::int64_t group = -1;
      for (const AdamSegment* segment = all + begin; segment != all + end; ++segment) {
        if (group != segment->group) {
          group = segment->group;
          step.emplace(*this, groups[std::size_t(group)]);
        }
        adam_block(parameters.pointer<T>() + segment->first, m.pointer<T>() + segment->moment,
                   v.pointer<T>() + segment->moment, gradients.pointer<T>() + segment->first,
                   segment->count, *step);
        if (copy.exists()) round_copy(*this, *segment);
      }
    });
  });
}

void SumOfSquares::on(CpuQueue& queue) const {
  static_assert(block == element_block, "a partial sum per block");
  with_float_type(x.dtype, [&]<typename T>() {
    double* partial = partials.pointer<double>();
    for_blocks(queue.threads, x.size(), [&](std::int64_t begin, std::int64_t end) {
      partial[begin / block] = sum_of_squares(x.pointer<T>() + begin, end - begin);
    });
    double total = 0;
    for (std::int64_t i = 0; i < partials.size(); ++i) total += partial[i];
    *sum.pointer<double>() = total;
  });
}

}  // namespace metascale
