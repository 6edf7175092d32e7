#include "experiments/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>

#include "core/atomic_file.hpp"
#include "core/build_info.hpp"
#include "core/heartbeat.hpp"
#include "core/run_lease.hpp"
#include "experiments/recorder.hpp"
#include "experiments/run_context.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double heartbeat_seconds = 1;  // so that a person sees it move
constexpr double lease_seconds = 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Training {
 public:
  Training(const fs::path& folder, const RunConfig& config, const TrainHooks& hooks)
      : lease_(folder),
        folder_(folder),
        config_(config),
        hooks_(hooks),
        checkpoints_(folder, config.model),
        start_(checkpoints_.newest(&damaged_)),
        context_(config_, start_),
        recorder_(folder, {.run_id = config.id,
                           .configuration = to_yaml(config),
                           .facts = context_.facts(),
                           .environment = build_info()}) {}

  ExitCode run() {
    std::error_code error;
    fs::remove(folder_ / "FAILED", error);  // of an earlier attempt
    beat(RunPhase::running);
    begin();
    while (context_.state.step < config_.training.steps) {
      train_one_step();
      const std::int64_t step = context_.state.step;
      const bool last = step == config_.training.steps;
      if (!last && due(config_.evaluation.every_steps)) evaluate("validation", false);
      if (!last && checkpoint_due()) save();
      tick();
      if (const StopRequest request = hooks_.stop(); request != StopRequest::none && !last)
        return stop(request);
    }
    return finish();
  }

 private:
  void begin() {
    recorder_.resume(context_.state.step);
    for (const auto& damage : damaged_) note("damaged_checkpoint", damage);
    if (start_) {
      saved_step_ = start_->step;
      checkpoints_.load(start_->step, context_.parameters(), context_.memory());
      note("resume", fmt::format("from step {}", start_->step));
    } else if (!config_.parent.run.empty()) {
      load_parent();
    } else {
      initialise(context_.parameters(), context_.memory(), config_.seed);
      note("start", fmt::format("{} parameters, {} steps", context_.parameters().count(),
                                config_.training.steps));
    }
    recorder_.snapshot();
  }

  void load_parent() {  // a branch: the trunk's tensors, step and place in the data
    const fs::path runs = fs::canonical(folder_).parent_path();  // however folder_ is written
    const Checkpoints parent(runs / config_.parent.run, config_.model);
    TrainingState state = parent.state_of(config_.parent.step);
    if (state.data_fingerprint != context_.state.data_fingerprint)
      throw Error(fmt::format("{}: not the tokens that the trunk {} was trained on (fingerprint {}, trunk "
                              "{}); a branch goes on with its trunk's data",
                              config_.data.train.string(), config_.parent.run,
                              context_.state.data_fingerprint, state.data_fingerprint),
                  ExitCode::bad_input);
    parent.load(config_.parent.step, context_.parameters(), context_.memory());
    state.threads = context_.state.threads, state.micro_batch = context_.state.micro_batch;
    context_.state = state;
    note("start", fmt::format("branch of {} at step {}", config_.parent.run, config_.parent.step));
  }

  void train_one_step() {
    const auto start = Clock::now();
    StepRow row = context_.train_step();
    row.attempt = recorder_.attempt();
    row.seconds = seconds_since(start);
    row.tokens_per_second = double(config_.training.batch_tokens) / row.seconds;
    recorder_.append(row);
    last_ = row;
    hooks_.on_step(row);
    if (!std::isfinite(row.loss) || !std::isfinite(row.gradient_norm)) not_finite(row);
  }

  void not_finite(const StepRow& row) {
    const std::string what = fmt::format("step {}: loss {} and gradient norm {} are not both finite",
                                         row.step, row.loss, row.gradient_norm);
    note("non_finite", what);
    if (config_.training.non_finite == NonFinite::skip) return;  // parameters were left alone
    recorder_.sync();
    recorder_.snapshot();
    throw Error(what + "; lower training.learning_rate, or set policy.non_finite: skip",
                ExitCode::run_failed);
  }

  bool due(std::int64_t every) const { return every > 0 && context_.state.step % every == 0; }
  bool checkpoint_due() const {
    const auto& at = config_.log.checkpoint_at;
    return due(config_.log.checkpoint_every) ||
           std::find(at.begin(), at.end(), context_.state.step) != at.end();
  }

  // False if the run was asked to stop before it was through: only a final evaluation stops midway, a
  // periodic one is short, and its row belongs to the steps before it.
  bool evaluate(const std::string& split, bool is_final) {
    const auto result = context_.evaluate_split(split, is_final, [&] {
      tick();
      return !is_final || hooks_.stop() == StopRequest::none;
    });
    if (!result) return false;
    if (is_final) recorder_.set_fact("evaluation_digest", fmt::format("{:016x}", result->digest));
    recorder_.append(*result);
    hooks_.on_evaluation(*result);
    recorder_.snapshot();
    return true;
  }

  void tick() {
    recorder_.tick();
    if (seconds_since(last_beat_) > heartbeat_seconds) beat(RunPhase::running);
  }

  bool has_final_evaluation() const {  // a start that was killed after it: test is opened once
    const auto& done = recorder_.log().evaluations;
    return std::any_of(done.begin(), done.end(), [](const auto& row) { return row.is_final; });
  }

  void save() {
    if (saved_step_ == context_.state.step) return;
    recorder_.sync();  // no checkpoint of a step whose row could be lost
    checkpoints_.save(context_.state, context_.parameters(), context_.memory(), config_.log);
    saved_step_ = context_.state.step;
    note("checkpoint", "");
    recorder_.sync();
    recorder_.snapshot();
  }

  ExitCode stop(StopRequest request) {
    save();
    note("saved", request == StopRequest::save ? "TERM or USR2" : "INT");
    recorder_.snapshot();
    beat(RunPhase::saved);
    return request == StopRequest::save ? ExitCode::saved : ExitCode::interrupted;
  }

  ExitCode finish() {
    save();
    const std::string split = config_.data.test.empty() ? "validation" : "test";
    if (!config_.data.validation.empty() || split == "test")
      if (!has_final_evaluation() && !evaluate(split, true)) return stop(hooks_.stop());
    note("done", "");
    recorder_.sync();
    recorder_.snapshot();
    beat(RunPhase::done);
    write_file_atomically(folder_ / "DONE", fmt::format("{}\n", config_.id));  // the last word
    return ExitCode::good;
  }

  void note(const std::string& kind, const std::string& message) {
    recorder_.event(kind, context_.state.step, message);
    hooks_.on_message(message.empty() ? kind : fmt::format("{}: {}", kind, message));
  }

  // Says in state.json how far the run is, and that the lease on its folder is still held.
  void beat(RunPhase phase) {
    if (seconds_since(renewed_) > lease_seconds) {
      lease_.renew();
      renewed_ = Clock::now();
    }
    write_heartbeat(folder_, {.phase = phase,
                              .step = context_.state.step,
                              .steps = config_.training.steps,
                              .loss = last_.step > 0 ? last_.loss : std::nan(""),
                              .tokens_per_second = last_.tokens_per_second,
                              .attempt = recorder_.attempt()});
    last_beat_ = Clock::now();
  }

  RunLease lease_;  // first: nothing in the folder is touched before it is ours
  fs::path folder_;
  const RunConfig& config_;
  const TrainHooks& hooks_;
  Checkpoints checkpoints_;
  std::vector<std::string> damaged_;
  std::optional<TrainingState> start_;
  RunContext context_;
  Recorder recorder_;
  std::int64_t saved_step_ = -1;  // of the newest checkpoint
  StepRow last_;
  Clock::time_point last_beat_, renewed_ = Clock::now();
};

// What was written before still stands, and the run can be started again.
void mark_failed(const fs::path& folder, const std::string& why) {
  try {
    write_file_atomically(folder / "FAILED", why + "\n");
    Heartbeat heartbeat = read_heartbeat(folder).value_or(Heartbeat{});
    heartbeat.phase = RunPhase::failed;
    heartbeat.message = why;
    heartbeat.time = 0;  // now
    write_heartbeat(folder, heartbeat);
  } catch (const Error&) {  // a full disk: the first failure is the one to tell
  }
}

}  // namespace

ExitCode train(const fs::path& run_folder, const TrainHooks& hooks) {
  if (fs::exists(run_folder / "DONE")) return ExitCode::good;
  try {
    const RunConfig config = read_run_config(run_folder / "config.yaml");
    return Training(run_folder, config, hooks).run();
  } catch (const Error& failure) {
    // unavailable: another process works in this folder, and its word stands.
    if (failure.code != ExitCode::unavailable) mark_failed(run_folder, failure.what());
    throw;
  } catch (const std::bad_alloc&) {
    const std::string why =
        "out of memory; lower training.micro_batch, or set training.recompute: block";
    mark_failed(run_folder, why);
    throw Error(why, ExitCode::run_failed);
  }
}

}  // namespace metascale
