#include "experiments/training/checkpoint_writer.hpp"

#include "experiments/training/checkpoint_schedule.hpp"

namespace metascale {
namespace {

bool may_roll_back(const TrainingConfig& training) {
  return training.non_finite == NonFinite::roll_back || training.spike.action == OnSpike::roll_back;
}

}  // namespace

void CheckpointWriter::save() {
  RunContext& context = run_.context;
  if (saved_step_ == context.state.step) return;
  run_.recorder.sync();  // no checkpoint of a step whose row could be lost
  context.fetch_parameters();
  if (run_.writes()) run_.ranks.keep_others_waiting([&] { write(); });
  run_.ranks.barrier();
  run_.ranks.wait();
  saved_step_ = context.state.step;
  run_.events.log_usage();
  run_.events.tell("checkpoint", "");
  run_.recorder.sync();
  run_.recorder.snapshot();
}

void CheckpointWriter::write() {
  run_.recorder.expect_ours();
  RunContext& context = run_.context;
  LogConfig log = run_.config.log;
  const std::int64_t target = last_scheduled(log, context.state.step);
  if (may_roll_back(run_.config.training) && target > 0)
    log.checkpoint_at.push_back(target);  // kept beside what is kept anyway
  run_.checkpoints.save(context.state, context.parameters(), context.memory(), log);
}

}  // namespace metascale
