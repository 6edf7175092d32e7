#include "sweeps/launch.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/run_lease.hpp"
#include "experiments/config.hpp"
#include "sweeps/attempt.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/launch/give_up.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/marks.hpp"
#include "sweeps/submit.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr double warning_slack = 120;  // seconds; a warning can come a minute early
constexpr double hasty_seconds = 30;   // to wait for who hands over, before another start
constexpr double busy_seconds = 600;   // of a controller, to hear us long before a time limit
constexpr int most_looks = 6;          // at runs that are about to end, a second apart

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
        folder_(folder),
        task_(task),
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
    newer_submissions_ = newer_submissions();
    for (const std::string& run : runs_)
      if (is_ready(run))
        jobs.push_back({.id = run, .folder = ledger_.run_folder(run), .parent = ""});
    if (jobs.empty()) return ExitCode::good;
    const Execution execution = make_local_executor(executor_options())->run(jobs);
    const bool goes_on = look_after(execution);
    hand_over_children(execution);
    if (goes_on && !why_again(execution).empty()) start_again(execution);
    return goes_on ? execution.exit_code() : without_saved(execution);
  }

 private:
  bool is_ready(const std::string& run) {
    const fs::path folder = ledger_.run_folder(run);
    if (is_end_that_nobody_judged(run)) forget_failure(folder, "to be tried again");
    const RunPhase phase = read_status(folder).phase();
    if (phase == RunPhase::done || phase == RunPhase::failed || phase == RunPhase::cancelled) {
      options_.say(fmt::format("{}: {}", run, name_of(phase)));
      return false;
    }
    if (is_of_another_job(run)) return false;
    const std::string parent = parent_of(run);
    if (!parent.empty() && waits_for(run, parent)) return false;
    return !is_given_up(run, give_up_stalled(folder, submission_));
  }

  bool has_several_nodes() const { return submission_.resources.nodes > 1; }

  // A rank that saw others go wrote FAILED, and then the job ended with one of its nodes.
  bool is_end_that_nobody_judged(const std::string& run) const {
    const fs::path folder = ledger_.run_folder(run);
    if (!has_several_nodes() || newer_submissions_.contains(run)) return false;
    if (read_status(folder).phase() != RunPhase::failed) return false;
    const std::vector<Attempt> attempts = read_attempts(folder);
    return !attempts.empty() && attempts.back().end == AttemptEnd::running;
  }

  // A job of several runs that starts again may hold one that was handed over anew in between,
  // since it waited for its parent here: that job has it now.
  bool is_of_another_job(const std::string& run) const {
    const auto newest = newer_submissions_.find(run);
    if (newest == newer_submissions_.end()) return false;
    options_.say(fmt::format("{}: submission {:04} has it now", run, newest->second));
    return true;
  }

  // Of each run that was handed over again after us, the number. One that cannot be read is no
  // reason not to train: the lease keeps two jobs from one run.
  std::map<std::string, int> newer_submissions() const {
    std::map<std::string, int> numbers;
    try {
      const std::vector<Submission> submissions = read_submissions(ledger_.folder());
      for (const auto& [run, task] : newest_tasks(submissions))
        if (task.submission->number > submission_.number) numbers[run] = task.submission->number;
    } catch (const Error& error) {
      options_.say(error.what());
    }
    return numbers;
  }

  bool is_slurm() const { return std::holds_alternative<SlurmLaunch>(submission_.how); }

  std::string parent_of(const std::string& run) const {
    return read_run_config(ledger_.run_folder(run) / "config.yaml").parent.run;
  }

  bool waits_for(const std::string& run, const std::string& parent) {
    const auto is_done = [&] { return fs::exists(ledger_.run_folder(parent) / "DONE"); };
    if (is_done()) return false;
    const bool has_failed = ledger_.status(parent).phase() == RunPhase::failed;
    const fs::path folder = ledger_.run_folder(run);
    Heartbeat last = read_heartbeat(folder).value_or(Heartbeat{});
    last.phase = RunPhase::pending;
    last.message = waits_for_parent + parent + (has_failed ? ", which failed" : "");
    last.time = 0;  // now
    write_heartbeat(folder, last);
    options_.say(fmt::format("{}: {}", run, last.message));
    return !is_done();  // it may have come to its end just now, and looked for us too early
  }

  // Whether that is so; tells it.
  bool is_given_up(const std::string& run, const std::string& why) const {
    if (!why.empty()) options_.say(fmt::format("{}: {}", run, why));
    return !why.empty();
  }

  ExecutorOptions executor_options() {
    const JobResources& resources = submission_.resources;
    ExecutorOptions executor;
    executor.program = options_.program;
    executor.slots = resources.runs;
    executor.threads = (resources.cpus + resources.ranks - 1) / resources.ranks;
    executor.retries = submission_.retries;
    executor.leaves_retries = has_several_nodes();
    executor.launcher = launcher_words(submission_);
    executor.stop = [this] { return stop(); };
    executor.last_moment = last_moment(deadline_, submission_.job.signal_before);
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

  Stop stop() {
    const int signal = options_.stop_signal();
    if (signal == 0) return Stop::none;
    if (signal == SIGINT) return Stop::interrupt;
    // We asked Slurm for it as the warning of a limit that is perhaps not ours: the site's, or one
    // that was lowered since. Other systems send it before they delete a job, too.
    if (signal == SIGUSR2 && is_slurm()) return Stop::time_limit;
    const double warned = signal == SIGUSR2 ? submission_.job.signal_before + warning_slack : 0;
    const bool is_limit = deadline_ > 0 && seconds_since_1970() >= deadline_ - warned;
    return is_limit ? Stop::time_limit : Stop::terminate;
  }

  static bool is_open(const JobResult& result) {
    return result.outcome == Outcome::saved || result.outcome == Outcome::waiting ||
           result.outcome == Outcome::lost;
  }

  // Whether a run is left that can go on.
  bool look_after(const Execution& execution) {
    bool goes_on = false;
    for (const JobResult& result : execution.results) {
      if (!is_open(result)) continue;
      const fs::path folder = ledger_.run_folder(result.id);
      const std::string why =
          result.outcome == Outcome::lost
              ? give_up_lost(folder, submission_, result.exit_code, result.message)
              : give_up_stalled(folder, submission_);
      if (!is_given_up(result.id, why)) goes_on = true;
    }
    return goes_on;
  }

  // Why this job must ask to be started again; empty: it need not, or who stopped it sees to that.
  static std::string why_again(const Execution& execution) {
    if (execution.stopped == Stop::time_limit) return "the time limit";
    const bool is_lost =
        std::any_of(execution.results.begin(), execution.results.end(),
                    [](const JobResult& result) { return result.outcome == Outcome::lost; });
    return is_lost && execution.stopped == Stop::none ? "perhaps a node was lost" : "";
  }

  static ExitCode without_saved(const Execution& execution) {
    for (const JobResult& result : execution.results)
      if (result.outcome != Outcome::done && result.outcome != Outcome::cancelled)
        return ExitCode::run_failed;
    return ExitCode::good;
  }

  void start_again(const Execution& execution) {
    const std::string why = why_again(execution);
    std::string complaint = complaint_of_requeue(execution);
    if (complaint.empty()) return options_.say(why + ": this job is started again");
    if (std::holds_alternative<TemplateLaunch>(submission_.how)) {
      complaint = goes_on_in_new_job(execution);
      if (complaint.empty()) return;
    }
    options_.say(complaint + "; metascale submit goes on with it");
  }

  // A controller that is busy, or being started again, may hear it later: until the job is ended.
  std::string complaint_of_requeue(const Execution& execution) {
    const double now = seconds_since_1970();
    double end = deadline_ > 0 ? deadline_ : now + submission_.job.signal_before / 2;
    if (execution.stopped != Stop::time_limit) end = std::min(end, now + busy_seconds);
    for (;;) {
      std::string complaint = scheduler_of(submission_)->requeue(job_);
      if (complaint.empty() || !is_slurm() || seconds_since_1970() >= end) return complaint;
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

  std::string goes_on_in_new_job(const Execution& execution) {
    std::vector<std::string> open;
    for (const JobResult& result : execution.results) {
      if (is_open(result) && ledger_.status(result.id).phase() != RunPhase::failed)
        open.push_back(result.id);
    }
    try {
      const std::vector<LeftOut> left = not_handed_over(open, patience_now());
      for (const auto& [run, why] : left)
        options_.say(
            fmt::format("{}: no new job goes on with it ({}); once metascale status shows it as "
                        "timed_out or saved, metascale submit hands it over",
                        run, why));
      if (left.size() < open.size()) options_.say(why_again(execution) + ": a new job goes on");
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  // Submit notes it once its command has answered, which may be after we began.
  std::string own_job() {
    if (!job_.empty()) return job_;
    const Submission now = read_submission(folder_);
    if (task_ < now.jobs.size()) job_ = now.jobs[task_];
    return job_;
  }

  // Handed over already, to wait for runs that are done now.
  std::vector<std::string> children_of(const Execution& execution) const {
    std::vector<std::string> children;
    const auto submissions = read_submissions(ledger_.folder());
    const auto tasks = newest_tasks(submissions);
    for (const JobResult& result : execution.results) {
      if (result.outcome != Outcome::done) continue;
      for (const auto& [run, task] : tasks) {
        const auto& parents = task.submission->parents;
        if (std::find(parents.begin(), parents.end(), result.id) == parents.end()) continue;
        if (parent_of(run) == result.id) children.push_back(run);
      }
    }
    return children;
  }

  void hand_over_children(const Execution& execution) {
    try {
      const std::vector<std::string> waiting = children_of(execution);
      if (waiting.empty()) return;
      const bool is_last = execution.stopped == Stop::none && why_again(execution).empty();
      for (const auto& [run, why] :
           not_handed_over(waiting, is_last ? patience_now() : hasty_seconds)) {
        if (why == name_of(RunPhase::queued) || why == name_of(RunPhase::running)) continue;
        options_.say(
            fmt::format("{}: its parent is done; no new job was handed over for it: {}", run, why));
      }
    } catch (const Error& error) {
      options_.say(error.what() + std::string("; metascale submit starts what waits"));
    }
  }

  double patience_now() const {
    return patience(deadline_ > 0 ? deadline_ - seconds_since_1970()
                                  : std::numeric_limits<double>::infinity());
  }

  // Hands runs over. Returns those that it did not, and why. A child that runs just now may be
  // about to find us unfinished and end: it is looked at again.
  std::vector<LeftOut> not_handed_over(std::vector<std::string> runs, double seconds) {
    std::vector<LeftOut> left;
    for (int look = 1;; ++look) {
      const SubmitResult result = submit_again(
          ledger_, runs, {.lease_seconds = seconds, .own_job = [this] { return own_job(); }});
      for (const Submission& submission : result.submissions)
        options_.say(
            fmt::format("submission {:04}: {} runs", submission.number, submission.count_runs()));
      runs.clear();
      for (const LeftOut& out : result.left_out) {
        const bool may_end =
            out.why == "running" && ledger_.status(out.run).phase() != RunPhase::running;
        if (may_end && look < most_looks)
          runs.push_back(out.run);
        else
          left.push_back(out);
      }
      if (runs.empty()) return left;
      std::this_thread::sleep_for(std::chrono::seconds(1));
    }
  }

  const LaunchOptions& options_;
  fs::path folder_;
  std::size_t task_;
  Submission submission_;
  Ledger ledger_;
  std::vector<std::string> runs_;
  std::map<std::string, int> newer_submissions_;
  std::string job_;
  double deadline_ = 0;  // seconds since 1970; 0: none
};

}  // namespace

double last_moment(double deadline, double signal_before) {
  constexpr double to_start_again = 15;
  return deadline > 0 ? deadline - std::min(to_start_again, signal_before / 4) : 0;
}

double patience(double seconds_left) {
  constexpr double to_say_so = 15, to_be_sure = 30;
  return std::min(RunLease::default_stale_seconds + to_be_sure,
                  std::max(0.0, seconds_left - to_say_so));
}

ExitCode launch_task(const fs::path& submission, std::size_t task, const LaunchOptions& options) {
  return Launch(submission, task, options).run();
}

}  // namespace metascale
