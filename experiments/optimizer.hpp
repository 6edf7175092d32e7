// AdamW over a model's parameters, in the groups that the model declares: one operator for all.
#pragma once

#include "experiments/birth.hpp"
#include "experiments/config.hpp"
#include "experiments/parameters.hpp"
#include "experiments/shards.hpp"
#include "kernels/optimizer.hpp"

namespace metascale {

class Optimizer {
 public:
  // births: of what grew. A parameter's time counts from its birth, as if it started afresh then;
  // what the last growth added has its own multipliers of rate and decay.
  Optimizer(Queue& queue, const OptimizerConfig& config, const ParameterList& list,
            ParameterMemory& memory, const Births& births = {});
  // The part of it that a rank does: on the elements of its shard, whose moments alone it has.
  Optimizer(Queue& queue, const OptimizerConfig& config, const ParameterList& list,
            ParameterMemory& memory, const Births& births, const Shards& shards);

  void clear_gradients(Queue& queue);
  // Sends what makes the norm. It can be read when the queue is finished.
  void send_gradient_norm(Queue& queue);
  // Of all gradients of the shard together, before clipping. In f64; its bits do not depend on the
  // number of threads.
  double squared_gradient_norm() const;
  // Clips by the global norm (factor min(1, clip / (norm + 1e-6))) and updates. step: from 1.
  void update(Queue& queue, double rate, double norm, std::int64_t step);

 private:
  struct Group {  // of parameters that are updated alike
    double rate_multiplier;
    bool decay;
    std::int64_t birth;
    friend bool operator==(const Group&, const Group&) = default;
  };
  std::int64_t number_of(const Group& group);  // in groups_, where it is put if it is new
  std::vector<AdamSegment> segments_of(const ParameterList& list, const Births& births,
                                       const Shards& shards);
  AdamGroup at_step(const Group& group, double rate, std::int64_t step) const;

  const OptimizerConfig config_;
  ParameterMemory& memory_;
  std::vector<Shards::Piece> shard_;
  std::vector<Group> groups_;
  std::int64_t newest_ = 0;  // step of the last growth; 0: none
  Buffer segments_;          // of adam_
  AdamW adam_;               // but for what a step changes
  Buffer partials_, sums_;   // sums_: one per piece of the shard
  Buffer host_sums_;
};

}  // namespace metascale
