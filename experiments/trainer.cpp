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
#include "experiments/spike.hpp"
#include "experiments/starting_point.hpp"
#include "kernels/gpu.hpp"

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
  Training(const fs::path& folder, const RunConfig& config, const TrainHooks& hooks,
           Communicator& ranks)
      : ranks_(ranks),
        folder_(folder),
        config_(config),
        hooks_(hooks),
        checkpoints_(folder, config.model),
        start_(take_folder()),
        context_(config_, start_, &ranks),
        recorder_(folder,
                  {.run_id = config.id,
                   .configuration = to_yaml(config),
                   .facts = context_.facts(),
                   .environment = build_info()},
                  writes()),
        spikes_(config.training.spike) {}

  ExitCode run() {
    try {
      begin();
      while (context_.state.step < config_.training.steps) {
        train_one_step();
        const bool last = context_.state.step == config_.training.steps;
        if (!last && due(config_.evaluation.every_steps)) evaluate("validation", false);
        if (!last && is_scheduled(context_.state.step)) save();
        tick();
        if (const StopRequest request = stop_request(); request != StopRequest::none && !last)
          return stop(request);
      }
      return finish();
    } catch (const RankLost& lost) {
      note("rank_lost", lost.what());
      recorder_.sync();
      recorder_.snapshot();
      throw;
    }
  }

 private:
  bool writes() const { return ranks_.rank() == 0; }

  // What rank 0 finds in the folder, once it is ours. The ranks must mean the same run.
  std::optional<TrainingState> take_folder() {
    if (writes()) lease_.emplace(folder_);
    const std::string mine = to_yaml(config_);
    if (const std::string first = broadcast_text(ranks_, mine, 0); first != mine)
      throw Error(fmt::format("rank {} was given another run than rank 0, or read another config.yaml; "
                              "start all ranks with one run folder that all of them see: {}",
                              ranks_.rank(), folder_.string()),
                  ExitCode::usage);
    return newest_checkpoint(checkpoints_, ranks_, &damaged_);
  }

  void begin() {
    std::error_code error;
    if (writes()) fs::remove(folder_ / "FAILED", error);  // of an earlier attempt
    beat(RunPhase::running);
    recorder_.resume(context_.state.step);
    for (const auto& damage : damaged_) note("damaged_checkpoint", damage);
    if (start_) saved_step_ = start_->step;
    const StartingPoint point = load_start(context_, config_, folder_, start_, ranks_);
    note(point.kind, point.message);
    if (start_ && start_->ranks != context_.state.ranks) mark_other_ranks();
    if (start_ && !start_->processor.empty() && start_->processor != context_.state.processor)
      mark("processor_changed", fmt::format("{} -> {} after step {}; last bits may differ",
                                            start_->processor, context_.state.processor, start_->step));
    facts_before_ = recorder_.log().facts;
    used_before_ = context_.usage();
    log_usage();
    restart_spikes();
    recorder_.snapshot();
  }

  // Sums are rounded otherwise from here on: whoever compares bits must see why.
  void mark_other_ranks() {
    mark("ranks_changed", fmt::format("{} -> {} ranks, micro-batch {} -> {} after step {}",
                                      start_->ranks, context_.state.ranks, start_->micro_batch,
                                      context_.state.micro_batch, start_->step));
  }

  // An event, and a fact that grows with every such event of the run.
  void mark(const std::string& kind, const std::string& what) {
    note(kind, what);
    const auto& facts = recorder_.log().facts;
    const auto before = facts.find(kind);
    recorder_.set_fact(kind, before == facts.end() ? what : before->second + "; " + what);
  }

  // At every checkpoint, so that of a run that is killed only what came after its last one is missing.
  void log_usage() {
    recorder_.set_facts(
        usage_facts(facts_before_, recorder_.attempt() == 1, used_before_, context_.usage()));
  }

  void restart_spikes() {
    spikes_.restart(recorder_.log().steps);
    spikes_.remember(broadcast_text(ranks_, spikes_.memory(), 0));
  }

  void train_one_step() {
    const auto start = Clock::now();
    StepRow row = context_.train_step(
        [&](const StepRow& made) { return !spikes_.is_spike(made.loss); });
    row.attempt = recorder_.attempt();
    row.seconds = seconds_since(start);
    row.tokens_per_second = double(config_.training.batch_tokens) / row.seconds;
    recorder_.append(row);
    last_ = row;
    hooks_.on_step(row);
    if (!std::isfinite(row.loss) || !std::isfinite(row.gradient_norm)) return not_finite(row);
    if (spikes_.is_spike(row.loss)) return spike(row);
    spikes_.add(row.loss);
  }

  void not_finite(const StepRow& row) {
    const std::string what = fmt::format("step {}: loss {} and gradient norm {} are not both finite",
                                         row.step, row.loss, row.gradient_norm);
    note("non_finite", what);
    switch (config_.training.non_finite) {
      case NonFinite::stop:
        give_up(what + "; lower training.learning_rate, or set policy.non_finite: skip");
      case NonFinite::skip: return note("skip", fmt::format("step {} updates nothing", row.step));
      case NonFinite::roll_back: return roll_back(row, what);
    }
  }

  void spike(const StepRow& row) {
    const std::string what =
        fmt::format("step {}: loss {} is above {} times the median of the last {} steps", row.step,
                    row.loss, config_.training.spike.factor, config_.training.spike.window);
    note("spike", what);
    switch (config_.training.spike.action) {
      case OnSpike::ignore: return;
      case OnSpike::stop: give_up(what + "; lower training.learning_rate, or set policy.spike.action: skip");
      case OnSpike::skip: return note("skip", fmt::format("step {} updates nothing", row.step));
      case OnSpike::roll_back: return roll_back(row, what);
    }
  }

  [[noreturn]] void give_up(const std::string& why) {
    recorder_.sync();
    recorder_.snapshot();
    throw Error(why, ExitCode::run_failed);
  }

  // To the last checkpoint of the schedule: that a run was stopped and saved in between must change nothing.
  void roll_back(const StepRow& bad, const std::string& why) {
    const auto target = newest_checkpoint(checkpoints_, ranks_, nullptr, [&](std::int64_t step) {
      return step < bad.step && is_scheduled(step);
    });
    const std::int64_t step = target ? target->step : config_.parent.step;
    roll_backs_ = step == rolled_back_to_ ? roll_backs_ + 1 : 1;
    rolled_back_to_ = step;
    const auto& policy = config_.training.roll_back;
    if (roll_backs_ > policy.most)
      give_up(fmt::format("{}; the run was rolled back to step {} {} times already; lower "
                          "training.learning_rate, or raise policy.roll_back.most",
                          why, step, policy.most));
    const std::int64_t skipped =
        context_.state.skipped_batches + bad.step - 1 - step + policy.skip_batches;
    recorder_.roll_back(step);
    if (writes() && fs::exists(folder_ / "checkpoints")) checkpoints_.remove_after(step);
    load_start(context_, config_, folder_, target, ranks_);
    context_.state.skipped_batches = skipped;
    saved_step_ = -1;  // a stop right here must save what is skipped
    restart_spikes();
    note("roll_back", fmt::format("from step {} to step {}; the next batch is number {} of the data's order",
                                  bad.step, step, step + skipped));
  }

  bool due(std::int64_t every) const { return every > 0 && context_.state.step % every == 0; }
  bool is_scheduled(std::int64_t step) const {  // for a checkpoint
    const auto& [every, keep, at] = config_.log;
    return (every > 0 && step % every == 0) || std::find(at.begin(), at.end(), step) != at.end();
  }

  // What any rank was asked for, the same on all.
  StopRequest stop_request() { return StopRequest(greatest(ranks_, std::int64_t(hooks_.stop()))); }

  // False if the run was asked to stop before it was through: only a final evaluation stops midway, a
  // periodic one is short, and its row belongs to the steps before it.
  bool evaluate(const std::string& split, bool is_final) {
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

  void tick() {
    recorder_.tick();
    if (seconds_since(last_beat_) > heartbeat_seconds) beat(RunPhase::running);
  }

  bool has_final_evaluation() {  // a start that was killed after it: test is opened once
    const auto& done = recorder_.log().evaluations;
    return greatest(ranks_, std::any_of(done.begin(), done.end(),
                                        [](const auto& row) { return row.is_final; })) == 1;
  }

  void save() {
    if (saved_step_ == context_.state.step) return;
    recorder_.sync();  // no checkpoint of a step whose row could be lost
    context_.fetch_parameters();
    if (writes()) ranks_.keep_others_waiting([&] { write_checkpoint(); });
    ranks_.barrier();
    ranks_.wait();
    saved_step_ = context_.state.step;
    log_usage();
    note("checkpoint", "");
    recorder_.sync();
    recorder_.snapshot();
  }

  bool may_roll_back() const {
    return config_.training.non_finite == NonFinite::roll_back ||
           config_.training.spike.action == OnSpike::roll_back;
  }

  void write_checkpoint() {
    LogConfig log = config_.log;
    std::int64_t last = may_roll_back() ? context_.state.step : 0;
    while (last > 0 && !is_scheduled(last)) --last;
    if (last > 0) log.checkpoint_at.push_back(last);  // kept beside what is kept anyway
    checkpoints_.save(context_.state, context_.parameters(), context_.memory(), log);
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
    if (const std::string split = final_split(config_); !split.empty())
      if (!has_final_evaluation() && !evaluate(split, true)) return stop(stop_request());
    log_usage();
    note("done", "");
    recorder_.sync();
    recorder_.snapshot();
    beat(RunPhase::done);
    if (writes())
      write_file_atomically(folder_ / "DONE", fmt::format("{}\n", config_.id));  // the last word
    return ExitCode::good;
  }

  void note(const std::string& kind, const std::string& message) {
    recorder_.event(kind, context_.state.step, message);
    hooks_.on_message(message.empty() ? kind : fmt::format("{}: {}", kind, message));
  }

  // Says in state.json how far the run is, and that the lease on its folder is still held.
  void beat(RunPhase phase) {
    last_beat_ = Clock::now();
    if (!writes()) return;
    if (seconds_since(renewed_) > lease_seconds) {
      lease_->renew();
      renewed_ = Clock::now();
    }
    write_heartbeat(folder_, {.phase = phase,
                              .step = context_.state.step,
                              .steps = config_.training.steps,
                              .loss = last_.step > 0 ? last_.loss : std::nan(""),
                              .tokens_per_second = last_.tokens_per_second,
                              .attempt = recorder_.attempt()});
  }

  Communicator& ranks_;
  std::optional<RunLease> lease_;  // first: nothing in the folder is touched before it is ours
  fs::path folder_;
  const RunConfig& config_;
  const TrainHooks& hooks_;
  Checkpoints checkpoints_;
  std::vector<std::string> damaged_;
  std::optional<TrainingState> start_;
  RunContext context_;
  Recorder recorder_;
  SpikeDetector spikes_;
  std::int64_t saved_step_ = -1;                       // of the newest checkpoint
  std::int64_t rolled_back_to_ = -1, roll_backs_ = 0;  // the last step gone back to, and how often
  StepRow last_;
  std::map<std::string, std::string> facts_before_;  // when this attempt began
  Usage used_before_;
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

// Rank 0 says in the folder why the run failed; if it is lost, the first of the others.
bool has_last_word(const Communicator& ranks, const Error& failure) {
  const auto* loss = dynamic_cast<const RankLost*>(&failure);
  int first = 0;
  while (loss && std::find(loss->ranks.begin(), loss->ranks.end(), first) != loss->ranks.end()) ++first;
  return first == ranks.rank();
}

}  // namespace

ExitCode train(const fs::path& run_folder, const TrainHooks& hooks, Communicator& ranks) {
  try {
    if (greatest(ranks, ranks.rank() == 0 && fs::exists(run_folder / "DONE")) == 1)
      return ExitCode::good;
    const RunConfig config = read_run_config(run_folder / "config.yaml");
    return Training(run_folder, config, hooks, ranks).run();
  } catch (const Error& failure) {
    // unavailable: another process works in this folder, and its word stands.
    if (failure.code != ExitCode::unavailable && has_last_word(ranks, failure))
      mark_failed(run_folder, failure.what());
    throw;
  } catch (const std::bad_alloc&) {
    const std::string why =
        "out of memory; lower training.micro_batch, or set training.recompute: block";
    if (ranks.rank() == 0) mark_failed(run_folder, why);
    throw Error(why, ExitCode::run_failed);
  }
}

ExitCode train(const fs::path& run_folder, const TrainHooks& hooks) {
  SingleCommunicator alone;
  return train(run_folder, hooks, alone);
}

bool can_train_on(Device device) { return device != Device::cuda || cuda::is_linked(); }

}  // namespace metascale
