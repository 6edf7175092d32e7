#include "experiments/training/bad_steps.hpp"

#include <fmt/format.h>

#include <cmath>

#include "experiments/training/checkpoint_schedule.hpp"
#include "experiments/training/starting_point.hpp"

namespace metascale {
namespace {

OnSpike as_action(NonFinite policy) {
  switch (policy) {
    case NonFinite::stop: return OnSpike::stop;
    case NonFinite::skip: return OnSpike::skip;
    case NonFinite::roll_back: return OnSpike::roll_back;
  }
  return OnSpike::stop;
}

}  // namespace

void BadSteps::restart() {
  spikes_.restart(run_.recorder.log().steps);
  spikes_.remember(broadcast_text(run_.ranks, spikes_.memory(), 0));
}

bool BadSteps::accepts(const StepRow& made) {
  is_spike_ = spikes_.is_spike(made.loss);
  return !is_spike_;
}

bool BadSteps::judge(const StepRow& row) {
  const TrainingConfig& training = run_.config.training;
  if (!std::isfinite(row.loss) || !std::isfinite(row.gradient_norm)) {
    std::string what = fmt::format("step {}: loss {} and gradient norm {} are not both finite",
                                   row.step, row.loss, row.gradient_norm);
    run_.events.tell("non_finite", what);
    if (training.non_finite == NonFinite::stop) {
      const std::string where = run_.context.first_not_finite(row);
      run_.events.tell("not_finite_in", where);
      what += ": " + where;
    }
    return act(as_action(training.non_finite), row, what, "policy.non_finite");
  }
  if (is_spike_) {
    const std::string what =
        fmt::format("step {}: loss {} is above {} times the median of the last {} steps", row.step,
                    row.loss, training.spike.factor, training.spike.window);
    run_.events.tell("spike", what);
    return act(training.spike.action, row, what, "policy.spike.action");
  }
  spikes_.add_accepted(row.loss);
  return false;
}

bool BadSteps::act(OnSpike action, const StepRow& row, const std::string& what, const char* key) {
  switch (action) {
    case OnSpike::ignore: break;
    case OnSpike::stop:
      give_up(fmt::format("{}; lower training.learning_rate, or set {}: skip", what, key));
    case OnSpike::skip:
      run_.events.tell("skip", fmt::format("step {} updates nothing", row.step));
      break;
    case OnSpike::roll_back: roll_back(row, what); return true;
  }
  return false;
}

void BadSteps::give_up(const std::string& why) {
  run_.recorder.sync();
  run_.recorder.snapshot();
  throw Error(why, ExitCode::run_failed);
}

// To the last checkpoint of the schedule: that a run was stopped and saved in between must change
// nothing.
void BadSteps::roll_back(const StepRow& bad, const std::string& why) {
  const auto target = newest_checkpoint(
      run_.checkpoints, run_.ranks, nullptr,
      [&](std::int64_t step) { return step < bad.step && is_scheduled(run_.config.log, step); });
  const std::int64_t step = target ? target->step : run_.config.parent.step;
  TrainingState& state = run_.context.state;
  const RollBacks roll_backs{.to = step,
                             .count = state.roll_backs.to == step ? state.roll_backs.count + 1 : 1};
  const auto& policy = run_.config.training.roll_back;
  if (roll_backs.count > policy.most)
    give_up(
        fmt::format("{}; the run was rolled back to step {} {} times already; lower "
                    "training.learning_rate, or raise policy.roll_back.most",
                    why, step, policy.most));
  const std::int64_t skipped = state.skipped_batches + bad.step - 1 - step + policy.skip_batches;
  run_.recorder.roll_back(step);
  if (run_.writes()) run_.checkpoints.remove_after(step);
  load_start(run_.context, run_.config, run_.folder, target, run_.ranks);
  state.skipped_batches = skipped;
  state.roll_backs = roll_backs;
  restart();
  run_.events.tell(
      "roll_back",
      fmt::format("from step {} to step {}; the next batch is number {} of the data's order",
                  bad.step, step, step + skipped));
}

}  // namespace metascale
