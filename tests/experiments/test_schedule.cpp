#include <catch2/catch.hpp>

#include "experiments/schedule.hpp"

namespace metascale {
namespace {

constexpr double peak = 4e-3, final_rate = 4e-4;

TrainingConfig training_with(ScheduleKind kind, std::int64_t warmup = 10, std::int64_t decay = 0) {
  TrainingConfig training;
  training.steps = 100;
  training.schedule = {.kind = kind, .warmup_steps = warmup, .decay_steps = decay};
  training.optimizer.learning_rate = peak;
  training.optimizer.final_learning_rate = final_rate;
  return training;
}

TEST_CASE("every schedule warms up in equal steps to the peak") {
  const auto kind = GENERATE(ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::constant,
                             ScheduleKind::wsd);
  const TrainingConfig training = training_with(kind, 10, kind == ScheduleKind::wsd ? 20 : 0);
  CAPTURE(name_of(kind));
  for (std::int64_t step = 1; step <= 10; ++step)
    CHECK(learning_rate(training, step) == Approx(peak * double(step) / 10).epsilon(1e-14));
  CHECK(learning_rate(training, 10) == peak);
}

TEST_CASE("a schedule without warm-up starts near its peak") {
  const auto kind = GENERATE(ScheduleKind::cosine, ScheduleKind::linear);
  const TrainingConfig training = training_with(kind, 0);
  CHECK(learning_rate(training, 1) < peak);
  CHECK(learning_rate(training, 1) > 0.98 * peak);
}

TEST_CASE("a decaying schedule never rises after its warm-up and ends at the final rate") {
  const auto kind = GENERATE(ScheduleKind::cosine, ScheduleKind::linear, ScheduleKind::wsd);
  const TrainingConfig training = training_with(kind, 10, kind == ScheduleKind::wsd ? 20 : 0);
  CAPTURE(name_of(kind));
  for (std::int64_t step = 11; step <= 100; ++step)
    CHECK(learning_rate(training, step) <= learning_rate(training, step - 1));
  CHECK(learning_rate(training, 100) == Approx(final_rate).epsilon(1e-14));
}

TEST_CASE("halfway between warm-up and end, cosine and linear are halfway down") {
  const auto kind = GENERATE(ScheduleKind::cosine, ScheduleKind::linear);
  CHECK(learning_rate(training_with(kind), 55) == Approx((peak + final_rate) / 2).epsilon(1e-14));
}

TEST_CASE("cosine is above linear in its first half and below it in its second") {
  const auto cosine = training_with(ScheduleKind::cosine);
  const auto linear = training_with(ScheduleKind::linear);
  CHECK(learning_rate(cosine, 30) > learning_rate(linear, 30));
  CHECK(learning_rate(cosine, 80) < learning_rate(linear, 80));
}

TEST_CASE("constant stays at the peak") {
  const TrainingConfig training = training_with(ScheduleKind::constant);
  for (const std::int64_t step : {11, 50, 100}) CHECK(learning_rate(training, step) == peak);
}

TEST_CASE("wsd stays at the peak until its decay, whose steps are equal") {
  const TrainingConfig training = training_with(ScheduleKind::wsd, 10, 20);
  for (const std::int64_t step : {11, 50, 80}) CHECK(learning_rate(training, step) == peak);
  for (std::int64_t step = 81; step <= 100; ++step)
    CHECK(learning_rate(training, step - 1) - learning_rate(training, step) ==
          Approx((peak - final_rate) / 20).epsilon(1e-10));
}

TEST_CASE("a wsd trunk, which has no decay of its own, stays at the peak to its end") {
  CHECK(learning_rate(training_with(ScheduleKind::wsd), 100) == peak);
}

TEST_CASE("a run that only warms up ends at the peak") {
  CHECK(learning_rate(training_with(ScheduleKind::cosine, 100), 100) == peak);
}

}  // namespace
}  // namespace metascale
