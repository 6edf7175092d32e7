#include "sweeps/overview.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "core/atomic_file.hpp"
#include "core/yaml.hpp"
#include "experiments/config.hpp"
#include "sweeps/overview/judge.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

struct PlannedSteps {
  std::int64_t steps = 0, own = 0;  // own: of a branch, those after it left its trunk
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
  return cells;
}

// Of plan.csv; a run whose line vanished from the sweep is not in it.
std::map<std::string, PlannedSteps> planned_steps(const fs::path& folder) {
  std::map<std::string, PlannedSteps> planned;
  std::error_code error;
  if (!fs::is_regular_file(folder / "plan.csv", error)) return planned;
  std::ifstream file(folder / "plan.csv");
  std::string line;
  if (!std::getline(file, line)) return planned;
  const std::vector<std::string> names = cells_of(line);
  const auto column = [&](const char* name) {
    return std::size_t(std::find(names.begin(), names.end(), name) - names.begin());
  };
  const std::size_t id = column("id"), steps = column("steps"), tokens = column("tokens"),
                    batch = column("batch_tokens");
  while (std::getline(file, line)) {
    const std::vector<std::string> cells = cells_of(line);
    if (cells.size() <= std::max({id, steps, tokens, batch})) continue;
    const double per_step = std::atof(cells[batch].c_str());
    const std::int64_t all = std::atoll(cells[steps].c_str());
    planned[cells[id]] = {
        all, per_step > 0 ? std::int64_t(std::atof(cells[tokens].c_str()) / per_step) : all};
  }
  return planned;
}

// Jobs that may still be there: those of runs that are not over.
std::vector<const Submission*> open_submissions(const std::map<std::string, TaskReference>& tasks,
                                                const Overview& overview) {
  std::set<const Submission*> open;
  for (const RunOverview& run : overview.runs) {
    if (run.status.phase() == RunPhase::done) continue;
    if (const auto task = tasks.find(run.status.id);
        task != tasks.end() && !task->second.job().empty())
      open.insert(task->second.submission);
  }
  return {open.begin(), open.end()};
}

std::optional<JobStates> ask(const std::vector<const Submission*>& open,
                             const OverviewOptions& options, std::string& remark) {
  JobStates all;
  std::map<bool, std::vector<const Submission*>> by_kind;  // of Slurm, or of a template
  for (const Submission* submission : open)
    by_kind[std::holds_alternative<SlurmLaunch>(submission->how)].push_back(submission);
  for (const auto& [is_slurm, submissions] : by_kind) {
    const auto scheduler = options.scheduler ? options.scheduler(*submissions.back())
                                             : scheduler_of(*submissions.back());
    auto states = scheduler->states(submissions, options.seconds, remark);
    if (!states) return std::nullopt;
    all.merge(*states);
  }
  return all;
}

// Whether the newer file was written after the older one, which are on one server, or in the same
// tick of its clock; false where one is not there.
bool was_written_before(const fs::path& older, const fs::path& newer) {
  std::error_code error;
  const auto first = fs::last_write_time(older, error);
  if (error) return false;
  const auto second = fs::last_write_time(newer, error);
  return !error && first <= second;
}

// Steps that its last attempt made, and the seconds that it took for them.
struct Speed {
  double steps = 0, seconds = 0;
};

Speed speed_of(const RunOverview& run, const std::vector<Attempt>& attempts,
               const PlannedSteps& planned) {
  if (attempts.empty() || run.status.last.time < attempts.back().started) return {};
  const std::int64_t begin =
      std::max(attempts.back().first_checkpoint, planned.steps - planned.own);
  return {.steps = double(run.step - begin),
          .seconds = run.status.last.time - attempts.back().started};
}

void add_usage(RunOverview& run, const std::vector<Attempt>& attempts) {
  double joules = 0;
  bool all_have_joules = !attempts.empty();
  for (const Attempt& attempt : attempts) {
    double seconds = attempt.seconds();
    if (&attempt == &attempts.back() && attempt.end == AttemptEnd::running)
      seconds = std::max(seconds, run.status.last.time - attempt.started);
    run.gpu_hours += seconds / 3600 * attempt.gpus;
    run.core_hours += seconds / 3600 * attempt.cores;
    all_have_joules = all_have_joules && attempt.joules;
    joules += attempt.joules.value_or(0);
  }
  if (all_have_joules) run.joules = joules;
}

// "<arm>-<size>": runs of one take as long for a step. Neither name holds a dash.
std::string shape_of_id(const std::string& id) {
  const std::size_t arm = id.find('-');
  return arm == std::string::npos ? id : id.substr(0, id.find('-', arm + 1));
}

// Empty: it has none, or config.yaml is damaged, which is told where the run is started.
std::string parent_of(const fs::path& run_folder) {
  try {
    return read_run_config(run_folder / "config.yaml").parent.run;
  } catch (const Error&) {
    return "";
  }
}

class Builder {
 public:
  Builder(const Ledger& ledger, const OverviewOptions& options)
      : ledger_(ledger),
        planned_(planned_steps(ledger.folder())),
        submissions_(read_submissions(ledger.folder())),
        tasks_(newest_tasks(submissions_)) {
    for (const RunStatus& status : ledger.statuses()) read(status);
    const auto open = open_submissions(tasks_, overview_);
    const auto states = ask(open, options, overview_.remark);
    for (std::size_t i = 0; i < overview_.runs.size(); ++i) judge_run(i, states);
    for (RunOverview& run : overview_.runs) look_for_parent(run);
    add_up();
    read_price();
  }
  Overview take() { return std::move(overview_); }

 private:
  void read(const RunStatus& status) {
    RunOverview run{.status = status, .word = status.word(), .message = status.reason};
    const auto planned = planned_.find(status.id);
    run.step = status.last.step;
    run.steps = planned != planned_.end() ? planned->second.steps : status.last.steps;
    attempts_.push_back(read_attempts(ledger_.run_folder(status.id)));
    const auto& attempts = attempts_.back();
    if (!attempts.empty()) run.job = attempts.back().job, run.node = attempts.back().node;
    if (!attempts.empty() && attempts.back().end == AttemptEnd::timed_out && run.word == "saved")
      run.word = "timed_out";
    add_usage(run, attempts);
    if (const auto task = tasks_.find(status.id);
        task != tasks_.end() && !task->second.job().empty())
      run.job = task->second.job();
    overview_.runs.push_back(std::move(run));
  }

  Traces traces_of(const RunOverview& run, const std::vector<Attempt>& attempts) const {
    const fs::path folder = ledger_.run_folder(run.status.id), script = script_of(run.status.id);
    Traces traces;
    traces.has_yet_to_speak =
        (!attempts.empty() && run.status.last.time < attempts.back().started) ||
        was_written_before(folder / "state.json", script);
    if (attempts.empty()) return traces;
    const Attempt& last = attempts.back();
    const fs::path file = attempt_folder(folder, last.number) / "attempt.json";
    if (was_written_before(file, script)) return traces;
    // The folder is made first: who starts the run is about to write the file.
    const fs::path sign = fs::exists(file) ? file : file.parent_path();
    if (const auto age = ledger_.seconds_since_written(sign))
      traces.attempt = {.end = last.end,
                        .exit_code = last.exit_code,
                        .seconds = last.end == AttemptEnd::running ? last.seconds() + *age : *age};
    return traces;
  }

  // Of its newest hand-over; empty: there is none.
  fs::path script_of(const std::string& run) const {
    const auto found = tasks_.find(run);
    if (found == tasks_.end()) return {};
    const auto& [submission, task] = found->second;
    return submission_folder(ledger_.folder(), submission->number) /
           job_script_name(*submission, task);
  }

  void judge_run(std::size_t i, const std::optional<JobStates>& states) {
    RunOverview& run = overview_.runs[i];
    if (states)
      if (const auto state = states->find(run.job); state != states->end())
        run.in_queue = state->second;
    judge(run, run.in_queue ? traces_of(run, attempts_[i]) : Traces{}, states.has_value());
    const PlannedSteps planned = planned_.contains(run.status.id)
                                     ? planned_[run.status.id]
                                     : PlannedSteps{run.steps, run.steps};
    const Speed speed = speed_of(run, attempts_[i], planned);
    if (speed.steps <= 0 || speed.seconds <= 0) return;
    Speed& all = speeds_[shape_of_id(run.status.id)];
    all.steps += speed.steps, all.seconds += speed.seconds;
    if (run.word == "running" && run.steps > 0)
      run.seconds_left = double(run.steps - run.step) * speed.seconds / speed.steps;
  }

  // A parent's job hands over what waits as it ends, but not if it is killed just then.
  void look_for_parent(RunOverview& run) const {
    if (run.word != name_of(RunPhase::pending) || !run.message.starts_with(waits_for_parent))
      return;
    const RunOverview* parent = overview_.find(parent_of(ledger_.run_folder(run.status.id)));
    if (parent && parent->status.phase() == RunPhase::done)
      run.message = "its parent is done; metascale submit starts it";
  }

  void add_up() {
    double gpus = 0, cores = 0;
    for (const RunOverview& run : overview_.runs) gpus += run.gpu_hours, cores += run.core_hours;
    for (const auto& [id, task] : tasks_)
      overview_.uses_gpus = overview_.uses_gpus || task.submission->resources.gpus > 0;
    overview_.uses_gpus = overview_.uses_gpus || gpus > 0;
    overview_.hours_used = overview_.uses_gpus ? gpus : cores;
    for (std::size_t i = 0; i < overview_.runs.size(); ++i)
      add_left(overview_.runs[i], attempts_[i]);
  }

  double devices_of(const RunOverview& run, const std::vector<Attempt>& attempts) const {
    if (!attempts.empty() && attempts.back().cores > 0)
      return overview_.uses_gpus ? attempts.back().gpus : attempts.back().cores;
    const auto task = tasks_.find(run.status.id);
    if (task == tasks_.end()) return 1;
    const JobResources& resources = task->second.submission->resources;
    return overview_.uses_gpus ? resources.gpus_per_run() : resources.cores_per_run();
  }

  void add_left(RunOverview& run, const std::vector<Attempt>& attempts) {
    if (run.status.phase() == RunPhase::done || run.word == "failed" || run.word == "cancelled")
      return;
    const auto speed = speeds_.find(shape_of_id(run.status.id));
    if (speed == speeds_.end() || run.steps == 0) {
      ++overview_.unknown;
      return;
    }
    const auto planned = planned_.find(run.status.id);
    const std::int64_t begin =
        planned == planned_.end() ? 0 : planned->second.steps - planned->second.own;
    const double steps = double(run.steps - std::max(run.step, begin));
    run.hours_left =
        steps * speed->second.seconds / speed->second.steps / 3600 * devices_of(run, attempts);
    overview_.hours_left += *run.hours_left;
  }

  void read_price() {
    const fs::path path = ledger_.folder() / "sweep.yaml";
    if (!fs::exists(path)) return;
    const YamlNode sweep = read_yaml(path);
    const YamlNode* budget = sweep.find("budget");
    const YamlNode* price =
        budget ? budget->find(overview_.uses_gpus ? "price_per_gpu_hour" : "price_per_core_hour")
               : nullptr;
    if (price) overview_.price_per_hour = read_number(*price, 0, 1e12);
  }

  const Ledger& ledger_;
  std::map<std::string, PlannedSteps> planned_;
  std::vector<Submission> submissions_;
  std::map<std::string, TaskReference> tasks_;
  std::vector<std::vector<Attempt>> attempts_;  // of overview_.runs
  std::map<std::string, Speed> speeds_;
  Overview overview_;
};

}  // namespace

const RunOverview* Overview::find(const std::string& id) const {
  const auto found = std::lower_bound(
      runs.begin(), runs.end(), id,
      [](const RunOverview& run, const std::string& wanted) { return run.status.id < wanted; });
  return found != runs.end() && found->status.id == id ? &*found : nullptr;
}

Overview overview_of(const Ledger& ledger, const OverviewOptions& options) {
  return Builder(ledger, options).take();
}

}  // namespace metascale
