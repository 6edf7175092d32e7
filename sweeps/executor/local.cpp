// The local executor: one child process per slot.
#include <fmt/format.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/atomic_file.hpp"
#include "core/build_info.hpp"
#include "core/child.hpp"
#include "core/run_lease.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/executor/record.hpp"
#include "sweeps/marks.hpp"
#include "sweeps/status.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// A run that stops to be started again without having come further is given up after so many times.
constexpr int most_stalls = 3;
constexpr long tick_nanoseconds = 50'000'000;

enum class Next { done, retry, resume, give_up, unknown };

Next next_of(int exit_code) {
  switch (ExitCode(exit_code)) {
    case ExitCode::good: return Next::done;
    case ExitCode::saved:
    case ExitCode::interrupted: return Next::resume;
    case ExitCode::internal:
    case ExitCode::run_failed:
    case ExitCode::unavailable: return Next::retry;
    case ExitCode::usage:
    case ExitCode::assertion:
    case ExitCode::bad_input:
    case ExitCode::io: return Next::give_up;
  }
  return exit_code > 128 ? Next::retry : Next::unknown;  // a signal; or a code that is none of ours
}

class LocalExecutor : public Executor {
 public:
  explicit LocalExecutor(ExecutorOptions options) : options_(std::move(options)) {}

  Execution run(const std::vector<Job>& jobs) override {
    begin(jobs);
    try {
      do {
        look_for_stop();
        end_what_has_not_saved();
        look_into_folders();
        reap();
        start_what_can();
        for (auto& slot : running_)
          if (slot) slot->record.renew();
        if (options_.events.tick) options_.events.tick();
      } while ((is_anything_running() || is_anything_waiting()) && pause());
    } catch (...) {  // a full disk, a program that is gone: what runs may save before we say so
      stop_children();
      while (is_anything_running() && pause())
        for (auto& slot : running_)
          if (slot && slot->child.poll()) slot.reset();
      throw;
    }
    return finish();
  }

 private:
  struct Work {
    Job job;
    JobResult result;
    std::int64_t retries = 0;
    int stalls = 0;
    std::int64_t last_step = -1;
    bool is_over = false, is_running = false, is_cancelled = false;
    bool is_waiting = false;  // for a lease that goes stale
    double waits_until = 0;   // seconds since 1970; 0: it has not waited yet
    std::string not_started;  // why its newest attempt never became the program; empty: it did
  };
  struct Running {
    std::size_t work;
    Child child;
    AttemptRecord record;
  };

  void begin(const std::vector<Job>& jobs) {
    work_.clear();
    for (const Job& job : jobs) work_.push_back({.job = job, .result = {.id = job.id}});
    for (Work& work : work_)
      if (fs::exists(work.job.folder / "DONE")) settle(work, Outcome::done, 0, "");
    const auto open =
        std::count_if(work_.begin(), work_.end(), [](const Work& work) { return !work.is_over; });
    plan_ = options_.pinning == Pinning::none ? unpinned_slots(options_.slots, options_.threads)
                                              : plan_slots(available_cores(), options_.slots,
                                                           options_.threads, std::size_t(open));
    running_.clear();
    running_.resize(plan_.slots.size());
    stopped_ = Stop::none;
    starts_more_ = true;
    ends_at_last_moment_ = has_reached_last_moment_ = false;
  }

  bool is_anything_running() const {
    return std::any_of(running_.begin(), running_.end(),
                       [](const auto& slot) { return slot.has_value(); });
  }

  bool is_anything_waiting() const {
    return starts_more_ && std::any_of(work_.begin(), work_.end(), [](const Work& work) {
             return work.is_waiting && !work.is_over;
           });
  }

  static bool pause() {
    const timespec tick{.tv_sec = 0, .tv_nsec = tick_nanoseconds};
    nanosleep(&tick, nullptr);
    return true;
  }

  void stop_children() {  // each saves and exits with 75
    starts_more_ = false;
    for (auto& slot : running_)
      if (slot) slot->child.send(options_.stop_signal);
  }

  void look_into_folders() {
    const double now = seconds_since_1970();
    if (now - looked_into_folders_ < 1) return;
    looked_into_folders_ = now;
    for (Work& work : work_) look_for_cancelled(work);
    if (now - looked_at_leases_ < 10) return;  // a look makes a file, to read its server's clock
    looked_at_leases_ = now;
    for (Work& work : work_)
      if (work.is_waiting && seconds_until_stale(work.job.folder) == 0) work.waits_until = now;
  }

  void look_for_cancelled(Work& work) {
    if (work.is_over || work.is_cancelled || !options_.is_cancelled(work.job)) return;
    work.is_cancelled = true;
    if (!work.is_running) settle(work, Outcome::cancelled, 0, "");
    for (auto& slot : running_)
      if (slot && &work_[slot->work] == &work) slot->child.send(options_.stop_signal);
  }

  Execution finish() {
    Execution execution{.stopped = stopped_};
    for (Work& work : work_) {
      if (!work.is_over && stopped_ == Stop::none && starts_more_)
        settle(work, Outcome::blocked, 0, "its parent " + work.job.parent + " is not done");
      execution.results.push_back(work.result);
    }
    return execution;
  }

  void look_for_stop() {
    const Stop asked = options_.stop();
    if (asked == Stop::none || stopped_ != Stop::none) return;
    stopped_ = asked;
    // One that is asked later has its time, too, as long as the batch system gives it.
    ends_at_last_moment_ = asked == Stop::time_limit && seconds_since_1970() < options_.last_moment;
    stop_children();
  }

  // A batch system that ends the whole job would start nothing again.
  void end_what_has_not_saved() {
    if (!ends_at_last_moment_ || seconds_since_1970() < options_.last_moment) return;
    has_reached_last_moment_ = true;
    for (auto& slot : running_)
      if (slot) slot->child.kill_group();
  }

  void reap() {
    for (auto& slot : running_) {
      if (!slot) continue;
      const std::optional<int> code = slot->child.poll();
      if (!code) continue;
      Work& work = work_[slot->work];
      work.is_running = false;
      work.is_cancelled = work.is_cancelled || options_.is_cancelled(work.job);
      slot->record.finish(end_of(work, *code), *code);
      slot.reset();
      judge(work, *code);
    }
  }

  AttemptEnd end_of(const Work& work, int code) const {
    if (fs::exists(work.job.folder / "DONE")) return AttemptEnd::done;
    if (work.is_cancelled) return AttemptEnd::cancelled;
    if (stopped_ == Stop::time_limit) return AttemptEnd::timed_out;
    const Next next = next_of(code);
    if (next == Next::resume) return AttemptEnd::saved;
    // Ended by who asked it to stop, as Slurm does where a node is lost, and not of itself.
    const bool is_ended =
        code > 128 || (options_.leaves_retries && (next == Next::retry || next == Next::unknown));
    return stopped_ != Stop::none && is_ended ? AttemptEnd::killed : AttemptEnd::failed;
  }

  void judge(Work& work, int code) {
    work.result.exit_code = code;
    Next next = next_of(code);
    if (fs::exists(work.job.folder / "DONE"))
      next = Next::done;
    else if (next == Next::done)
      next = Next::retry;  // exit 0 without DONE: it was not ours that ended
    else if (next == Next::unknown)
      next = options_.leaves_retries ? Next::retry : Next::give_up;
    if (next != Next::done && work.is_cancelled)
      return tell(work, code, settle(work, Outcome::cancelled, code, ""));
    if (next == Next::resume) {
      if (!starts_more_) return tell(work, code, settle(work, Outcome::saved, code, ""));
      const std::int64_t step = read_status(work.job.folder).last.step;
      work.stalls = step > work.last_step ? 0 : work.stalls + 1;
      work.last_step = step;
      if (work.stalls < most_stalls) return tell(work, code, "saved: it goes on");
      next = Next::give_up;
    }
    if (next == Next::done) return tell(work, code, settle(work, Outcome::done, code, ""));
    const std::string reason = reason_of(work);
    const bool may_be_of_others = code == int(ExitCode::unavailable);  // who work on it
    if (next == Next::retry && options_.leaves_retries && !may_be_of_others && !reason.empty())
      forget_failure(work.job.folder, "to be tried again: " + reason);
    if (next == Next::retry && !starts_more_)
      return tell(work, code,
                  settle(work, Outcome::waiting, code,
                         has_reached_last_moment_ && code == 128 + SIGKILL
                             ? "killed before the time limit, for which it did not save in time"
                             : "stopped"));
    if (next == Next::retry && waits_for_lease(work, code))
      return tell(work, code, "waits for the lease of a process that cannot be seen from here");
    if (next == Next::retry && options_.leaves_retries)
      return tell(work, code, settle(work, Outcome::lost, code, words_of(work, code, reason)));
    if (next == Next::retry && work.retries < options_.retries) {
      ++work.retries;
      return tell(
          work, code,
          fmt::format("{}{}retry {} of {}", work.not_started, work.not_started.empty() ? "" : "; ",
                      work.retries, options_.retries));
    }
    fail(work, code);
  }

  // The holder may have died with its machine: it is given the time to say that it lives, once.
  static bool waits_for_lease(Work& work, int code) {
    if (code != int(ExitCode::unavailable) || work.waits_until > 0) return false;
    const double wait = seconds_until_stale(work.job.folder);
    if (wait == 0) return false;
    work.is_waiting = true;
    work.waits_until = seconds_since_1970() + wait + 1;
    return true;
  }

  void fail(Work& work, int code) {
    const fs::path mark = work.job.folder / "FAILED";
    // 69 says nothing about the run: a device is missing, or another process works on it.
    if (code != int(ExitCode::unavailable) && !fs::exists(mark))
      write_file_atomically(mark, code > 128 ? fmt::format("ended by signal {}\n", code - 128)
                                             : fmt::format("exit code {}\n", code));
    tell(work, code, settle(work, Outcome::failed, code, words_of(work, code, reason_of(work))));
    if (options_.on_failure == OnFailure::stop && starts_more_) stop_children();
  }

  static std::string reason_of(const Work& work) {
    return work.not_started.empty() ? read_status(work.job.folder).reason : work.not_started;
  }

  std::string words_of(const Work& work, int code, const std::string& reason) const {
    const std::string log = last_log_.at(work.job.id).string();
    return reason.empty() ? fmt::format("exit code {}; see {}", code, log)
                          : fmt::format("{} (exit code {}; see {})", reason, code, log);
  }

  std::string settle(Work& work, Outcome outcome, int code, const std::string& message) {
    work.is_over = true;
    work.result = {.id = work.job.id, .outcome = outcome, .exit_code = code, .message = message};
    return message.empty() ? name_of(outcome) : fmt::format("{}: {}", name_of(outcome), message);
  }

  void tell(const Work& work, int code, const std::string& what_now) const {
    if (options_.events.ended) options_.events.ended(work.job, code, what_now);
  }

  bool can_start(const Work& work) const {
    if (work.is_over || work.is_running) return false;
    if (work.is_waiting && seconds_since_1970() < work.waits_until) return false;
    if (work.job.parent.empty()) return true;
    for (const Work& other : work_)
      if (other.job.id == work.job.parent) return other.result.outcome == Outcome::done;
    return fs::exists(work.job.folder.parent_path() / work.job.parent / "DONE");
  }

  void start_what_can() {
    for (std::size_t slot = 0; slot < running_.size() && starts_more_; ++slot) {
      if (running_[slot]) continue;
      const auto next = std::find_if(work_.begin(), work_.end(),
                                     [&](const Work& work) { return can_start(work); });
      if (next == work_.end()) return;
      start(*next, slot);
    }
  }

  void start(Work& work, std::size_t slot) {
    const fs::path& run = work.job.folder;
    AttemptRecord record(run, options_.facts, double(plan_.threads));
    nlohmann::json environment = build_info();
    environment["cores"] = plan_.slots[slot];
    environment["threads"] = plan_.threads;
    write_file_atomically(record.folder() / "environment.json", environment.dump(1) + "\n");
    last_log_[work.job.id] = record.folder() / "out.log";
    const int number = record.number();
    work.is_waiting = false;
    std::optional<Child> child = started_child(work, record.folder(), slot);
    if (options_.events.started) options_.events.started(work.job, number, plan_.slots[slot]);
    if (!child) {  // a hanging disk, say: it may answer again, and the other runs go on
      record.finish(AttemptEnd::failed, int(ExitCode::unavailable));
      return judge(work, int(ExitCode::unavailable));
    }
    running_[slot].emplace(Running{.work = std::size_t(&work - work_.data()),
                                   .child = std::move(*child),
                                   .record = std::move(record)});
    work.is_running = true;
  }

  // Nothing where it did not become the program in time; work knows why then.
  std::optional<Child> started_child(Work& work, const fs::path& attempt, std::size_t slot) const {
    work.not_started.clear();
    try {
      return Child(command(work.job, attempt, slot));
    } catch (const NotStarted& error) {
      work.not_started = error.what();
      return std::nullopt;
    }
  }

  // `metascale train <run>`, behind the launcher's words where there are some.
  ChildCommand command(const Job& job, const fs::path& attempt, std::size_t slot) const {
    std::vector<std::string> words = options_.launcher;
    words.insert(words.end(), {options_.program.string(), "train", job.folder.string()});
    if (job.ranks > 1) words.insert(words.end(), {"--ranks", std::to_string(job.ranks)});
    const std::string threads =
        std::to_string(std::max<std::int64_t>(1, plan_.threads / job.ranks));
    return {.program = words[0],
            .arguments = {words.begin() + 1, words.end()},
            .environment = {"OMP_NUM_THREADS=" + threads, "OPENBLAS_NUM_THREADS=" + threads},
            .output = attempt / "out.log",
            .cores = plan_.slots[slot]};
  }

  ExecutorOptions options_;
  SlotPlan plan_;
  std::vector<Work> work_;
  std::vector<std::optional<Running>> running_;
  std::map<std::string, fs::path> last_log_;
  Stop stopped_ = Stop::none;
  bool starts_more_ = true;
  bool ends_at_last_moment_ = false, has_reached_last_moment_ = false;
  double looked_into_folders_ = 0, looked_at_leases_ = 0;
};

class DryRunExecutor : public Executor {
 public:
  explicit DryRunExecutor(ExecutorEvents events) : events_(std::move(events)) {}

  Execution run(const std::vector<Job>& jobs) override {
    Execution execution;
    for (const Job& job : jobs) {
      const bool is_done = fs::exists(job.folder / "DONE");
      if (!is_done && events_.started) events_.started(job, 0, {});
      execution.results.push_back(
          {.id = job.id, .outcome = is_done ? Outcome::done : Outcome::waiting});
    }
    return execution;
  }

 private:
  ExecutorEvents events_;
};

}  // namespace

const char* name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::done: return "done";
    case Outcome::failed: return "failed";
    case Outcome::blocked: return "blocked";
    case Outcome::cancelled: return "cancelled";
    case Outcome::lost: return "lost";
    case Outcome::saved: return "saved";
    case Outcome::waiting: return "waiting";
  }
  return "?";
}

ExitCode Execution::exit_code() const {
  const auto any = [&](std::initializer_list<Outcome> wanted) {
    return std::any_of(results.begin(), results.end(), [&](const JobResult& result) {
      return std::find(wanted.begin(), wanted.end(), result.outcome) != wanted.end();
    });
  };
  // A stop that came after the last run had ended stopped nothing.
  if (stopped != Stop::none && any({Outcome::saved, Outcome::waiting}))
    return stopped == Stop::interrupt ? ExitCode::interrupted : ExitCode::saved;
  if (any({Outcome::lost})) return ExitCode::saved;
  return any({Outcome::failed, Outcome::blocked}) ? ExitCode::run_failed : ExitCode::good;
}

std::unique_ptr<Executor> make_local_executor(ExecutorOptions options) {
  return std::make_unique<LocalExecutor>(std::move(options));
}

std::unique_ptr<Executor> make_dry_run_executor(ExecutorEvents events) {
  return std::make_unique<DryRunExecutor>(std::move(events));
}

}  // namespace metascale
