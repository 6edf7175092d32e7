#include "sweeps/launch.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <set>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/run_lease.hpp"
#include "experiments/config.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/submit.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr double warning_slack = 120;     // seconds; Slurm's warning can come a minute early
constexpr double hand_over_seconds = 30;  // to wait for another process that hands over

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string job_of_environment() {
  const std::string array = variable("SLURM_ARRAY_JOB_ID");
  return array.empty() ? "" : array + "_" + variable("SLURM_ARRAY_TASK_ID");
}

class Launch {
 public:
  Launch(const fs::path& folder, std::size_t task, const LaunchOptions& options)
      : options_(options),
        submission_(read_submission(folder)),
        ledger_(fs::absolute(folder).lexically_normal().parent_path().parent_path()) {
    if (task >= submission_.tasks.size())
      throw Error(fmt::format("{}: has {} tasks, and no task {}; count from 0", folder.string(),
                              submission_.tasks.size(), task),
                  ExitCode::usage);
    runs_ = submission_.tasks[task];
    job_ = job_of_environment();
    if (job_.empty() && task < submission_.jobs.size()) job_ = submission_.jobs[task];
    // Slurm counts its limits in minutes.
    if (const double limit = 60 * std::ceil(submission_.resources.time / 60); limit > 0)
      deadline_ = seconds_since_1970() - options.job_seconds + limit;
  }

  ExitCode run() {
    std::vector<Job> jobs;
    for (const std::string& run : runs_)
      if (is_ready(run))
        jobs.push_back({.id = run, .folder = ledger_.run_folder(run), .parent = ""});
    if (jobs.empty()) return ExitCode::good;
    const Execution execution = make_local_executor(executor_options())->run(jobs);
    const bool goes_on = look_after(execution);
    hand_over_children(execution);
    if (goes_on && execution.stopped == Stop::time_limit) start_again(execution);
    return goes_on ? execution.exit_code() : without_saved(execution);
  }

 private:
  bool is_ready(const std::string& run) {
    const fs::path folder = ledger_.run_folder(run);
    const RunPhase phase = read_status(folder).phase();
    if (phase == RunPhase::done || phase == RunPhase::failed || phase == RunPhase::cancelled) {
      options_.say(fmt::format("{}: {}", run, name_of(phase)));
      return false;
    }
    const std::string parent = read_run_config(folder / "config.yaml").parent.run;
    if (!parent.empty() && waits_for(run, parent)) return false;
    return !has_stalled(run);
  }

  bool waits_for(const std::string& run, const std::string& parent) {
    const auto is_done = [&] { return fs::exists(ledger_.run_folder(parent) / "DONE"); };
    if (is_done()) return false;
    const bool has_failed = ledger_.status(parent).phase() == RunPhase::failed;
    const fs::path folder = ledger_.run_folder(run);
    Heartbeat last = read_heartbeat(folder).value_or(Heartbeat{});
    last.phase = RunPhase::pending;
    last.message = has_failed ? fmt::format("its parent {} failed", parent)
                              : fmt::format("waiting for {}", parent);
    last.time = 0;  // now
    write_heartbeat(folder, last);
    options_.say(fmt::format("{}: {}", run, last.message));
    return !is_done();  // it may have come to its end just now, and looked for us too early
  }

  // The last attempts were all cut off by their time limit before they could write a checkpoint.
  bool has_stalled(const std::string& run) {
    const fs::path folder = ledger_.run_folder(run);
    std::vector<Attempt> attempts = read_attempts(folder);
    if (attempts.empty()) return false;
    close_last(folder, attempts);
    const std::int64_t stalls = stalled_timeouts(attempts);
    if (stalls < submission_.job.max_stalled_timeouts) return false;
    const std::string why = fmt::format(
        "{} time limits in a row came before a new checkpoint; raise resources.time ({:.0f} s), or "
        "lower log.checkpoint_every",
        stalls, submission_.resources.time);
    write_file_atomically(folder / "FAILED", why + "\n");
    attempts.back().end = AttemptEnd::failed;  // a retry begins to count anew
    write_attempt(folder, attempts.back());
    options_.say(fmt::format("{}: {}", run, why));
    return true;
  }

  ExecutorOptions executor_options() {
    const JobResources& resources = submission_.resources;
    ExecutorOptions executor;
    executor.program = options_.program;
    executor.slots = resources.runs;
    executor.threads = (resources.cpus + resources.ranks - 1) / resources.ranks;
    executor.retries = submission_.retries;
    executor.launcher = launcher();
    executor.stop = [this] { return stop(); };
    // srun would end its ranks at once on TERM, and hands USR2 on.
    executor.stop_signal = resources.ranks > 1 ? SIGUSR2 : SIGTERM;
    executor.is_cancelled = [](const Job& job) { return fs::exists(job.folder / "CANCELLED"); };
    const bool has_its_cores =
        std::int64_t(available_cores().size()) == resources.runs * resources.cpus;
    executor.pinning = has_its_cores && resources.ranks == 1 ? Pinning::own_cores : Pinning::none;
    const std::string node = variable("SLURMD_NODENAME");
    executor.facts.job = job_;
    executor.facts.node = node.empty() ? this_process().host : node;
    executor.facts.deadline = deadline_;
    executor.facts.gpus = resources.gpus_per_run();
    executor.facts.cores = double(resources.cpus);
    executor.events.ended = [this](const Job& job, int code, const std::string& what_now) {
      options_.say(fmt::format("{}: exit code {}: {}", job.id, code, what_now));
    };
    return executor;
  }

  // One task of a step for each rank; then the container's words.
  std::vector<std::string> launcher() const {
    std::vector<std::string> words;
    const JobResources& resources = submission_.resources;
    if (const auto* slurm = std::get_if<SlurmLaunch>(&submission_.how);
        slurm && resources.ranks > 1) {
      words = {"srun", fmt::format("--ntasks={}", resources.ranks), "--kill-on-bad-exit=1",
               "--export=ALL"};
      words.insert(words.end(), slurm->srun.begin(), slurm->srun.end());
    }
    if (const auto* other = std::get_if<TemplateLaunch>(&submission_.how);
        other && resources.ranks > 1)
      for (const std::string& word : other->launcher)
        words.push_back(filled(word, submission_, {}, {}));
    const auto& container = submission_.job.container;
    words.insert(words.end(), container.begin(), container.end());
    return words;
  }

  Stop stop() {
    const int signal = options_.stop_signal();
    if (signal == 0) return Stop::none;
    if (signal == SIGINT) return Stop::interrupt;
    const double warned = signal == SIGUSR2 ? submission_.job.signal_before + warning_slack : 0;
    const bool is_limit = deadline_ > 0 && seconds_since_1970() >= deadline_ - warned;
    return is_limit ? Stop::time_limit : Stop::terminate;
  }

  // Whether a run is left that can go on.
  bool look_after(const Execution& execution) {
    bool goes_on = false;
    for (const JobResult& result : execution.results) {
      const bool is_open = result.outcome == Outcome::saved || result.outcome == Outcome::waiting;
      if (is_open && !has_stalled(result.id)) goes_on = true;
    }
    return goes_on;
  }

  static ExitCode without_saved(const Execution& execution) {
    for (const JobResult& result : execution.results)
      if (result.outcome != Outcome::done && result.outcome != Outcome::cancelled)
        return ExitCode::run_failed;
    return ExitCode::good;
  }

  void start_again(const Execution& execution) {
    std::string complaint = scheduler_of(submission_)->requeue(job_);
    if (complaint.empty()) return options_.say("the time limit: this job is started again");
    if (std::holds_alternative<TemplateLaunch>(submission_.how)) {
      std::vector<std::string> open;
      for (const JobResult& result : execution.results)
        if (result.outcome == Outcome::saved || result.outcome == Outcome::waiting)
          open.push_back(result.id);
      complaint = handed_over(open);
      if (complaint.empty()) return options_.say("the time limit: a new job goes on");
    }
    options_.say(complaint + "; metascale submit goes on with it");
  }

  void hand_over_children(const Execution& execution) {
    std::vector<std::string> waiting;
    const auto submissions = read_submissions(ledger_.folder());
    for (const JobResult& result : execution.results) {
      if (result.outcome != Outcome::done) continue;
      for (const auto& [run, task] : newest_tasks(submissions))
        if (task.submission->parent == result.id) waiting.push_back(run);
    }
    if (waiting.empty()) return;
    const std::string complaint = handed_over(waiting);
    if (!complaint.empty()) options_.say(complaint + "; metascale submit starts what waits");
  }

  // A child that runs just now may be about to find us unfinished and end: it is looked at again.
  std::string handed_over(const std::vector<std::string>& runs) {
    try {
      for (int look = 0;; ++look) {
        const SubmitResult result =
            submit_again(ledger_, runs, {.lease_seconds = hand_over_seconds, .own_job = job_});
        for (const Submission& submission : result.submissions)
          options_.say(
              fmt::format("submission {:04}: {} runs", submission.number, submission.count_runs()));
        const bool any_runs =
            std::any_of(result.left_out.begin(), result.left_out.end(), [&](const LeftOut& left) {
              return left.why == "running" && ledger_.status(left.run).phase() != RunPhase::running;
            });
        if (!any_runs || look == 5) return "";
        std::this_thread::sleep_for(std::chrono::seconds(1));
      }
    } catch (const Error& error) {
      return error.what();
    }
  }

  const LaunchOptions& options_;
  Submission submission_;
  Ledger ledger_;
  std::vector<std::string> runs_;
  std::string job_;
  double deadline_ = 0;  // seconds since 1970; 0: none
};

}  // namespace

ExitCode launch_task(const fs::path& submission, std::size_t task, const LaunchOptions& options) {
  return Launch(submission, task, options).run();
}

}  // namespace metascale
