#include "experiments/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/optimizer.hpp"

namespace metascale {

Optimizer::Optimizer(const OptimizerConfig& config, const ParameterList& list,
                     ParameterMemory& memory)
    : config_(config),
      list_(list),
      memory_(memory),
      partials_(Device::cpu, std::size_t((memory.elements + SumOfSquares::block - 1) /
                                         SumOfSquares::block) *
                                 sizeof(double)),
      sum_(Device::cpu, sizeof(double)) {}

void Optimizer::clear_gradients() {
  std::memset(memory_.gradients.data(), 0, memory_.gradients.bytes());
}

double Optimizer::gradient_norm(Queue& queue) {
  const Tensor sum{.data = sum_.data(), .shape = {1}, .dtype = Dtype::f64};
  run(queue, SumOfSquares{.sum = sum,
                          .x = memory_.whole(memory_.gradients),
                          .partials = {.data = partials_.data(),
                                       .shape = {std::int64_t(partials_.bytes() / sizeof(double))},
                                       .dtype = Dtype::f64}});
  return std::sqrt(*sum.pointer<double>());
}

void Optimizer::update(Queue& queue, double rate, double norm, std::int64_t step) {
  const double clip = config_.clip > 0 ? std::min(1.0, config_.clip / (norm + 1e-6)) : 1.0;
  for (const auto& entry : list_.entries()) {
    const auto flat = [&](const Buffer& arena) {
      return memory_.tensor(arena, entry).reshaped({entry.spec.shape.size()});
    };
    run(queue, AdamW{.parameters = flat(memory_.values),
                     .m = flat(memory_.m),
                     .v = flat(memory_.v),
                     .gradients = flat(memory_.gradients),
                     .rate = rate * entry.spec.rate_multiplier,
                     .beta1 = config_.beta1,
                     .beta2 = config_.beta2,
                     .epsilon = config_.epsilon,
                     .weight_decay = entry.spec.decay ? config_.weight_decay : 0,
                     .gradient_scale = clip,
                     .time = step});
  }
}

}  // namespace metascale
