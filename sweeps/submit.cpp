#include "sweeps/submit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/run_lease.hpp"
#include "experiments/config.hpp"
#include "sweeps/run_sweep.hpp"
#include "sweeps/submit/grouping.hpp"
#include "sweeps/submit/queue.hpp"
#include "sweeps/submit/retry.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// One process at a time hands over runs of a sweep. It renews before each submission and with each
// job that is noted: a call of the batch system takes far less than a lease needs to be stale.
std::unique_ptr<RunLease> sweep_lease(const Ledger& ledger, double seconds) {
  for (const double end = seconds_since_1970() + seconds;;) {
    try {
      return std::make_unique<RunLease>(ledger.folder(), RunLease::default_stale_seconds, "sweep");
    } catch (const Error& error) {
      if (error.code != ExitCode::unavailable || seconds_since_1970() > end) throw;
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

bool is_done(const Overview& overview, const std::string& id) {
  const RunOverview* run = overview.find(id);
  return run && run->status.phase() == RunPhase::done;
}

class Selection {
 public:
  Selection(const Ledger& ledger, const Overview& overview, Doubts doubts = {},
            std::map<std::string, std::string>* stale = nullptr, bool retries_failed = false)
      : overview_(overview),
        retries_failed_(retries_failed),
        doubts_(std::move(doubts)),
        submissions_(read_submissions(ledger.folder())),
        tasks_(newest_tasks(submissions_)),
        stale_(stale) {}

  // Why a run must not be handed over; empty: it may.
  std::string refusal(const std::string& id) {
    const RunOverview* run = overview_.find(id);
    if (!run) return "";
    switch (run->status.phase()) {
      case RunPhase::done: return "done";
      case RunPhase::failed:
        if (retries_failed_) break;
        return "failed; metascale retry, or submit --retry after changing the file, starts it "
               "again";
      case RunPhase::cancelled: return "cancelled; metascale retry starts it again";
      case RunPhase::pending:
      case RunPhase::queued:
      case RunPhase::running:
      case RunPhase::saved:
      case RunPhase::timed_out: break;
    }
    if (run->is_active()) return run->word;
    if (const auto doubt = doubts_.find(id); doubt != doubts_.end()) return doubt->second;
    const bool hangs =
        run->word == "lost" && run->in_queue && run->in_queue->phase != JobPhase::ended;
    return hangs ? refusal_of_hanging(*run) : "";
  }

  // Whether its parent can still come to its end; chosen: those that are handed over now.
  std::string refusal_of_parent(const std::string& parent, const std::set<std::string>& chosen) {
    if (chosen.contains(parent)) return "";
    const RunOverview* run = overview_.find(parent);
    if (run && (run->status.phase() == RunPhase::done || run->is_active())) return "";
    return fmt::format("its parent {} is {}", parent, run ? run->word : "not selected");
  }

 private:
  // Its job can be taken back, unless others would be ended with it.
  std::string refusal_of_hanging(const RunOverview& run) {
    const std::string other =
        run_beside(tasks_, overview_, run.status.id,
                   [](const RunOverview& beside) { return beside.is_active(); });
    if (!other.empty())
      return fmt::format(
          "{}, and its job {} goes on with {}: call metascale submit once that has "
          "ended",
          run.message, run.job, other);
    if (!stale_) return fmt::format("{}: metascale submit takes its job back", run.message);
    (*stale_)[run.status.id] = run.job;
    return "";
  }

  const Overview& overview_;
  bool retries_failed_;
  Doubts doubts_;
  std::vector<Submission> submissions_;
  std::map<std::string, TaskReference> tasks_;
  std::map<std::string, std::string>* stale_;
};

// Jobs know nothing of each other, and one that ended others would be undone by the next submit.
std::vector<std::string> remarks_on(const Definition& definition) {
  if (definition.policy.on_failure != OnFailure::stop) return {};
  return {
      "policy.on_failure: stop is for metascale run only: jobs of a batch system go on where one "
      "fails; metascale cancel ends them"};
}

// Of the selected failed runs: those that stay so, and why.
Doubts forget_failures(const Ledger& ledger, const Resolution& chosen) {
  std::vector<std::string> failed;
  for (const PlannedRun& run : chosen.runs)
    if (!run.waits_for_tuning && ledger.status(run.config.id).phase() == RunPhase::failed)
      failed.push_back(run.config.id);
  Doubts kept;
  if (failed.empty()) return kept;
  for (const auto& [run, why] : take_marks_away(ledger, failed, "metascale submit --retry"))
    kept[run] = why;
  return kept;
}

// "44" of "44_3".
std::string array_of(const std::string& job) { return job.substr(0, job.find('_')); }

// jobs: by run, each by the batch system that has it, which need not be the sweep file's of today.
void take_back(const std::map<std::string, TaskReference>& tasks,
               const std::map<std::string, std::string>& jobs) {
  std::map<const Submission*, std::set<std::string>> by_submission;
  for (const auto& [run, job] : jobs) by_submission[tasks.at(run).submission].insert(job);
  for (const auto& [submission, list] : by_submission)
    scheduler_of(*submission)->cancel({list.begin(), list.end()});
}

struct Chosen {
  std::vector<GroupedRun> runs;
  std::vector<LeftOut> left_out;
  std::map<std::string, std::string> stale;  // run -> job that hangs
};

Chosen choose_runs(const Ledger& ledger, const Resolution& resolution, const Overview& overview,
                   const Doubts& doubts, bool retries_failed) {
  Chosen chosen;
  Selection selection(ledger, overview, doubts, &chosen.stale, retries_failed);
  std::set<std::string> ids;
  for (const PlannedRun& run : resolution.runs) {  // parents stand before their children
    const std::string &id = run.config.id, &parent = run.config.parent.run;
    std::string why = run.waits_for_tuning ? "waits for its tuning" : selection.refusal(id);
    if (why.empty() && !parent.empty()) why = selection.refusal_of_parent(parent, ids);
    if (!why.empty()) {
      chosen.left_out.push_back({id, why});
      continue;
    }
    const bool waits = !parent.empty() && !is_done(overview, parent);
    const RunOverview* known = waits ? overview.find(parent) : nullptr;
    chosen.runs.push_back(
        {.run = &run, .parent = waits ? parent : "", .behind = known ? array_of(known->job) : ""});
    ids.insert(id);
  }
  return chosen;
}

// Job by run: of what was handed over now, else of what is in the queue.
class Jobs {
 public:
  explicit Jobs(const Overview& overview) : overview_(overview) {}
  void add(const Submission& submission) {
    for (std::size_t task = 0; task < submission.jobs.size(); ++task)
      for (const std::string& run : submission.tasks[task]) jobs_[run] = submission.jobs[task];
    if (std::holds_alternative<SlurmLaunch>(submission.how)) arrays_.push_back(submission.jobs);
  }
  // Those of several runs, as Slurm's dependencies name them: of a whole array by its number.
  std::string of(const std::vector<std::string>& runs) const {
    std::set<std::string> jobs;
    for (const std::string& run : runs) jobs.insert(of(run));
    jobs.erase("");
    std::string text;
    const auto add = [&](const std::string& job) { text += (text.empty() ? "" : ":") + job; };
    for (const auto& array : arrays_) {
      const auto is_in = [&](const std::string& job) { return jobs.contains(job); };
      if (array.size() < 2 || !std::all_of(array.begin(), array.end(), is_in)) continue;
      add(array_of(array[0]));
      for (const std::string& job : array) jobs.erase(job);
    }
    for (const std::string& job : jobs) add(job);
    return text;
  }

 private:
  std::string of(const std::string& run) const {
    if (const auto found = jobs_.find(run); found != jobs_.end()) return found->second;
    const RunOverview* known = overview_.find(run);
    return known && known->is_active() ? known->job : "";
  }

  const Overview& overview_;
  std::map<std::string, std::string> jobs_;
  std::vector<std::vector<std::string>> arrays_;
};

void hand_over(const Ledger& ledger, RunLease& lease, Scheduler& scheduler,
               std::vector<Submission>& submissions, const Overview& overview) {
  Jobs jobs(overview);
  for (Submission& submission : submissions) {
    lease.renew();
    submission.dependency = jobs.of(submission.parents);
    create_submission(ledger.folder(), submission);
    try {
      scheduler.submit(ledger.folder(), submission, [&] { lease.renew(); });
    } catch (const Error&) {
      write_submission(ledger.folder(), submission);  // a part of it may be in the queue
      throw;
    }
    write_submission(ledger.folder(), submission);
    jobs.add(submission);
    ledger.event(
        "submitted", "",
        fmt::format("submission {:04}: {} runs in {} jobs, the first is {}", submission.number,
                    submission.count_runs(), submission.tasks.size(), submission.jobs.front()));
  }
}

std::vector<std::string> open_parents(const Ledger& ledger, const Submission& submission,
                                      const Overview& overview) {
  std::set<std::string> open;
  for (const auto& task : submission.tasks)
    for (const std::string& run : task) {
      const RunConfig config = read_run_config(ledger.run_folder(run) / "config.yaml");
      if (!config.parent.run.empty() && !is_done(overview, config.parent.run))
        open.insert(config.parent.run);
    }
  return {open.begin(), open.end()};
}

// A submission like the one that this run was in, for such runs of it as are named.
std::vector<Submission> like_before(const Ledger& ledger,
                                    const std::vector<Submission>& submissions,
                                    const std::vector<std::string>& runs,
                                    std::vector<LeftOut>& left_out, const Overview& overview) {
  const auto tasks = newest_tasks(submissions);
  std::map<int, std::vector<std::string>> by_submission;
  for (const std::string& run : runs) {
    const auto task = tasks.find(run);
    if (task == tasks.end())
      left_out.push_back({run, "no batch system had it; metascale run or submit starts it"});
    else
      by_submission[task->second.submission->number].push_back(run);
  }
  std::vector<Submission> again;
  for (const Submission& submission : submissions) {
    const auto found = by_submission.find(submission.number);
    if (found == by_submission.end()) continue;
    again.push_back(submission);
    Submission& copy = again.back();
    copy.tasks = packed(found->second, copy.resources.runs);
    copy.jobs.clear(), copy.dependency.clear();
    copy.abandoned = false;
    if (!copy.parents.empty()) copy.parents = open_parents(ledger, copy, overview);
  }
  return again;
}

}  // namespace

SubmitResult submit_sweep(const Definition& definition, Ledger& ledger,
                          const SubmitOptions& options) {
  const auto scheduler = scheduler_of(definition.launch);
  const Resolution all = resolve_with_ledger(definition, ledger);
  const Resolution chosen_runs = selected(all, options.only, options.skip);
  // What it refuses is refused before anything is written.
  std::vector<GroupedRun> every;
  for (const PlannedRun& run : all.runs) every.push_back({.run = &run, .parent = "", .behind = ""});
  grouped(definition, every, 1000, options.program);
  fs::create_directories(ledger.folder());
  const auto lease = sweep_lease(ledger, options.lease_seconds);
  ledger.update(definition, all);
  Doubts doubts = settle_doubts(ledger);
  if (options.retries_failed) doubts.merge(forget_failures(ledger, chosen_runs));
  const Overview overview = sure_overview(ledger);
  const Chosen chosen = choose_runs(ledger, chosen_runs, overview, doubts, options.retries_failed);
  const auto before = read_submissions(ledger.folder());
  take_back(newest_tasks(before), chosen.stale);
  SubmitResult result{
      .submissions = {}, .left_out = chosen.left_out, .remarks = remarks_on(definition)};
  if (chosen.runs.empty()) return result;
  result.submissions = grouped(definition, chosen.runs, scheduler->most_tasks(), options.program);
  hand_over(ledger, *lease, *scheduler, result.submissions, overview);
  return result;
}

SubmitPlan plan_submit(const Definition& definition, const Ledger& ledger,
                       const SubmitOptions& options) {
  const auto scheduler = scheduler_of(definition.launch);
  const Resolution resolution =
      selected(resolve_with_ledger(definition, ledger), options.only, options.skip);
  const Overview overview = overview_of(ledger);
  const Chosen chosen =
      choose_runs(ledger, resolution, overview, doubts_of(ledger), options.retries_failed);
  SubmitPlan plan{
      .result = {.submissions = {}, .left_out = chosen.left_out, .remarks = remarks_on(definition)},
      .scripts = ""};
  plan.result.submissions =
      grouped(definition, chosen.runs, scheduler->most_tasks(), options.program);
  const auto before = read_submissions(ledger.folder());
  int number = before.empty() ? 1 : before.back().number + 1;
  Jobs jobs(overview);
  for (Submission& submission : plan.result.submissions) {
    submission.number = number++;
    submission.name = fmt::format("{}.{:04}", submission.sweep, submission.number);
    submission.dependency = jobs.of(submission.parents);
    Submission later = submission;
    for (std::size_t task = 0; task < submission.tasks.size(); ++task)
      later.jobs.push_back(fmt::format("JOB-OF-{:04}_{}", submission.number, task));
    jobs.add(later);
    plan.scripts += scheduler->scripts(ledger.folder(), submission);
  }
  return plan;
}

SubmitResult submit_again(const Ledger& ledger, const std::vector<std::string>& runs,
                          const AgainOptions& options) {
  const auto lease = sweep_lease(ledger, options.lease_seconds);
  const Doubts doubts = settle_doubts(ledger);
  const Overview overview = sure_overview(ledger);
  SubmitResult result;
  Selection selection(ledger, overview, doubts);
  const std::string own_job = options.own_job ? options.own_job() : "";
  std::vector<std::string> free;
  for (const std::string& run : runs) {
    const RunOverview* known = overview.find(run);
    const bool is_ours = options.own_job && known && known->is_active() && known->job == own_job;
    const std::string why = is_ours ? "" : selection.refusal(run);
    if (why.empty())
      free.push_back(run);
    else
      result.left_out.push_back({run, why});
  }
  result.submissions =
      like_before(ledger, read_submissions(ledger.folder()), free, result.left_out, overview);
  for (Submission& submission : result.submissions) {
    std::vector<Submission> one{submission};
    hand_over(ledger, *lease, *scheduler_of(submission), one, overview);
    submission = one[0];
  }
  return result;
}

std::vector<std::string> cancel_runs(const Ledger& ledger, const std::vector<std::string>& runs) {
  std::vector<std::string> cancelled;
  for (const std::string& run : runs) {
    const RunPhase phase = ledger.status(run).phase();
    if (phase == RunPhase::done || phase == RunPhase::failed || phase == RunPhase::cancelled)
      continue;
    write_file_atomically(ledger.run_folder(run) / "CANCELLED", "by metascale cancel\n");
    ledger.event("cancelled", run, "");
    cancelled.push_back(run);
  }
  const Overview overview = sure_overview(ledger);
  const auto submissions = read_submissions(ledger.folder());
  const auto tasks = newest_tasks(submissions);
  std::map<std::string, std::string> jobs;
  const auto is_over = [&](const std::string& run) {
    const RunOverview* known = overview.find(run);
    return known && known->is_over();
  };
  for (const std::string& run : cancelled) {
    const auto task = tasks.find(run);
    const RunOverview* known = overview.find(run);
    if (task == tasks.end() || !known->in_queue || known->in_queue->phase == JobPhase::ended)
      continue;
    const auto& together = task->second.submission->tasks[task->second.task];
    if (std::all_of(together.begin(), together.end(), is_over)) jobs[run] = known->job;
  }
  take_back(tasks, jobs);
  return cancelled;
}

}  // namespace metascale
