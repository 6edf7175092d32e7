// AdamW over a model's parameters, in the groups that the model declares.
#pragma once

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"
#include "kernels/queue.hpp"

namespace metascale {

class Optimizer {
 public:
  Optimizer(const OptimizerConfig& config, const ParameterList& list, ParameterMemory& memory);

  void clear_gradients();
  // Of all gradients together, before clipping. In f64; its bits do not depend on the number of threads.
  double gradient_norm(Queue& queue);
  // Clips by the global norm (factor min(1, clip / (norm + 1e-6))) and updates. step: from 1.
  void update(Queue& queue, double rate, double norm, std::int64_t step);

 private:
  const OptimizerConfig config_;
  const ParameterList& list_;
  ParameterMemory& memory_;
  Buffer partials_, sum_;
};

}  // namespace metascale
