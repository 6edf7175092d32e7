#include "experiments/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace metascale {

double learning_rate(const TrainingConfig& training, std::int64_t global_step) {
  const double peak = training.optimizer.learning_rate;
  const double final = training.optimizer.final_learning_rate;
  const ScheduleConfig& schedule = training.schedule;
  const std::int64_t step = global_step - schedule.first_step;
  const std::int64_t steps = training.steps - schedule.first_step;
  if (step <= schedule.warmup_steps) return peak * double(step) / double(schedule.warmup_steps);

  const auto progress_since = [&](std::int64_t start) {  // 0 at start, 1 at the last step
    const double whole = double(steps - start);
    return whole > 0 ? std::clamp(double(step - start) / whole, 0.0, 1.0) : 1.0;
  };
  switch (schedule.kind) {
    case ScheduleKind::constant: return peak;
    case ScheduleKind::linear: return peak + (final - peak) * progress_since(schedule.warmup_steps);
    case ScheduleKind::cosine:
      return final + (peak - final) / 2 *
                         (1 + std::cos(std::numbers::pi * progress_since(schedule.warmup_steps)));
    case ScheduleKind::wsd:
      if (schedule.decay_steps == 0) return peak;
      return peak + (final - peak) * progress_since(steps - schedule.decay_steps);
  }
  throw Error("a schedule without a learning rate; add it in experiments/schedule.cpp");
}

}  // namespace metascale
