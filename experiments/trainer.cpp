#include "experiments/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/atomic_file.hpp"
#include "experiments/training/bad_steps.hpp"
#include "experiments/training/checkpoint_schedule.hpp"
#include "experiments/training/checkpoint_writer.hpp"
#include "experiments/training/environment.hpp"
#include "experiments/training/failure.hpp"
#include "experiments/training/sign_of_life.hpp"
#include "experiments/training/starting_point.hpp"
#include "kernels/gpu.hpp"
#include "kernels/gpu_failure.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// The loop over a run's steps. What looks after them is in files of its own.
class Training {
 public:
  Training(const fs::path& folder, const RunConfig& config, const TrainHooks& hooks,
           Communicator& ranks)
      : ranks_(ranks),
        folder_(folder),
        config_(config),
        hooks_(hooks),
        life_(folder, ranks.rank() == 0, hooks.renewal_seconds),
        checkpoints_(folder, config.model),
        start_(find_start()),
        context_(config_, start_, &ranks, folder),
        recorder_(folder,
                  {.run_id = config.id,
                   .configuration = to_yaml(config),
                   .facts = context_.facts(),
                   .environment = environment_of_run(context_.state.threads)},
                  ranks.rank() == 0, [this](bool surely) { life_.expect_ours(surely); }),
        events_(recorder_, context_, hooks.on_message) {}

  ExitCode run() {
    try {
      begin();
      while (context_.state.step < config_.training.steps) {
        train_one_step();
        const std::int64_t step = context_.state.step, every = config_.evaluation.every_steps;
        const bool last = step == config_.training.steps;
        if (!last && every > 0 && step % every == 0) evaluate("validation", false);
        if (!last && is_scheduled(config_.log, step)) writer_.save();
        tick();
        if (const StopRequest request = stop_request(); request != StopRequest::none && !last)
          return stop(request);
      }
      return finish();
    } catch (const RankLost& lost) {
      close_log("rank_lost", lost.what());
      throw;
    } catch (const GpuFailure& failure) {
      const std::string why = fmt::format("{}: {}", context_.place(), failure.what());
      close_log("gpu_failed", why);
      throw GpuFailure(why);
    }
  }

 private:
  // What rank 0 finds in the folder. The ranks must mean the same run.
  std::optional<TrainingState> find_start() {
    const std::string mine = to_yaml(config_);
    if (const std::string first = broadcast_text(ranks_, mine, 0); first != mine)
      throw Error(
          fmt::format("rank {} was given another run than rank 0, or read another config.yaml; "
                      "start all ranks with one run folder that all of them see: {}",
                      ranks_.rank(), folder_.string()),
          ExitCode::usage);
    return newest_checkpoint(checkpoints_, ranks_, &damaged_);
  }

  void begin() {
    std::error_code error;
    life_.expect_ours(true);
    if (run_.writes()) fs::remove(folder_ / "FAILED", error);  // of an earlier attempt
    beat(RunPhase::running);
    recorder_.resume(context_.state.step);
    if (!recorder_.log().steps.empty()) last_loss_ = recorder_.log().steps.back().loss;
    for (const auto& damage : damaged_) events_.tell("damaged_checkpoint", damage);
    const StartingPoint point = load_start(context_, config_, folder_, start_, ranks_);
    events_.tell(point.kind, point.message);
    if (start_) writer_.is_saved_at(start_->step);
    if (start_) events_.mark_changes(*start_);
    events_.begin_usage();
    bad_steps_.restart();
    recorder_.snapshot();
  }

  void train_one_step() {
    const Stopwatch stopwatch;
    StepRow row =
        context_.train_step([&](const StepRow& made) { return bad_steps_.accepts(made); });
    row.attempt = recorder_.attempt();
    row.seconds = stopwatch.seconds();
    row.tokens_per_second = double(config_.training.batch_tokens) / row.seconds;
    recorder_.append(row);
    last_loss_ = row.loss;
    last_rate_ = row.tokens_per_second;
    hooks_.on_step(row);
    if (bad_steps_.judge(row)) writer_.forget();  // a stop right here must save what is skipped
  }

  // What any rank was asked for, the same on all.
  StopRequest stop_request() { return StopRequest(greatest(ranks_, std::int64_t(hooks_.stop()))); }

  // False if the run was asked to stop before it was through: only a final evaluation stops midway,
  // a periodic one is short, and its row belongs to the steps before it.
  bool evaluate(const std::string& split, bool is_final) {
    if (is_final) hooks_.on_final_evaluation(split);
    const auto result = context_.evaluate_split(split, is_final, [&] {
      tick();
      return !is_final || stop_request() == StopRequest::none;
    });
    if (!result) return false;
    if (is_final) recorder_.set_fact("evaluation_digest", fmt::format("{:016x}", result->digest));
    recorder_.append(*result);
    hooks_.on_evaluation(*result);
    recorder_.snapshot();
    return true;
  }

  bool has_final_evaluation() {  // a start that was killed after it: test is opened once
    const auto& done = recorder_.log().evaluations;
    return greatest(ranks_, std::any_of(done.begin(), done.end(),
                                        [](const auto& row) { return row.is_final; })) == 1;
  }

  ExitCode stop(StopRequest request) {
    writer_.save();
    events_.tell("saved", request == StopRequest::save ? "TERM or USR2" : "INT");
    recorder_.snapshot();
    beat(RunPhase::saved);
    return request == StopRequest::save ? ExitCode::saved : ExitCode::interrupted;
  }

  ExitCode finish() {
    writer_.save();
    if (const std::string split = final_split(config_); !split.empty())
      if (!has_final_evaluation() && !evaluate(split, true)) return stop(stop_request());
    events_.log_usage();
    recorder_.set_fact("attention", context_.attention());
    events_.tell("done", "");
    recorder_.sync();
    recorder_.snapshot();
    beat(RunPhase::done);
    if (run_.writes())
      write_file_atomically(folder_ / "DONE", fmt::format("{}\n", config_.id));  // the last word
    return ExitCode::good;
  }

  void tick() {
    recorder_.tick();
    if (life_.is_due()) beat(RunPhase::running);
  }

  void close_log(const char* kind, const std::string& why) {
    events_.tell(kind, why);
    recorder_.sync();
    recorder_.snapshot();
  }

  void beat(RunPhase phase) {
    life_.give({.phase = phase,
                .step = context_.state.step,
                .steps = config_.training.steps,
                .loss = last_loss_,
                .tokens_per_second = last_rate_,
                .attempt = recorder_.attempt(),
                .joules = events_.joules()});
  }

  Communicator& ranks_;
  const fs::path folder_;
  const RunConfig& config_;
  const TrainHooks& hooks_;
  // Before what looks into the folder: nothing there is touched before it is ours.
  SignOfLife life_;
  Checkpoints checkpoints_;
  std::vector<std::string> damaged_;
  std::optional<TrainingState> start_;
  RunContext context_;
  Recorder recorder_;
  RunEvents events_;
  const RunParts run_{folder_, config_, ranks_, checkpoints_, context_, recorder_, events_};
  CheckpointWriter writer_{run_};
  BadSteps bad_steps_{run_};
  // Of the last logged step, whichever attempt made it; of this attempt's last step.
  double last_loss_ = std::nan(""), last_rate_ = std::nan("");
};

}  // namespace

ExitCode train(const fs::path& run_folder, const TrainHooks& hooks, Communicator& ranks) {
  return or_failed(run_folder, ranks, [&] {
    if (greatest(ranks, ranks.rank() == 0 && fs::exists(run_folder / "DONE")) == 1)
      return ExitCode::good;
    const RunConfig config = read_run_config(run_folder / "config.yaml");
    return Training(run_folder, config, hooks, ranks).run();
  });
}

ExitCode train(const fs::path& run_folder, const TrainHooks& hooks) {
  SingleCommunicator alone;
  return train(run_folder, hooks, alone);
}

bool can_train_on(Device device) { return device != Device::cuda || cuda::is_linked(); }

}  // namespace metascale
