// Learning rate of an update.
#pragma once

#include "experiments/config.hpp"

namespace metascale {

// global_step: schedule.first_step + 1 .. training.steps; counted from first_step on: linear
// warm-up to the peak at warmup_steps; then by kind from the peak to final_learning_rate at the
// last step: cosine, linear, constant (stays), wsd (stays, and falls linearly over the last
// decay_steps).
double learning_rate(const TrainingConfig& training, std::int64_t global_step);

}  // namespace metascale
