#include "sweeps/submission.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/json_text.hpp"
#include "sweeps/numbered_folders.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

ordered_json to_json(const JobResources& resources) {
  return {{"gpus", resources.gpus},    {"ranks", resources.ranks}, {"nodes", resources.nodes},
          {"cpus", resources.cpus},    {"runs", resources.runs},   {"time", resources.time},
          {"memory", resources.memory}};
}

JobResources resources_from(const json& file) {
  return {.gpus = file.at("gpus"),
          .ranks = file.at("ranks"),
          .nodes = file.at("nodes"),
          .cpus = file.at("cpus"),
          .runs = file.at("runs"),
          .time = file.at("time"),
          .memory = file.at("memory")};
}

ordered_json to_json(const SlurmLaunch& slurm) {
  return {{"partition", slurm.partition},
          {"account", slurm.account},
          {"qos", slurm.qos},
          {"constraint", slurm.constraint},
          {"array_cap", slurm.array_cap},
          {"lines", slurm.lines},
          {"environment", slurm.environment},
          {"srun", slurm.srun}};
}

SlurmLaunch slurm_from(const json& file) {
  return {.partition = file.at("partition"),
          .account = file.at("account"),
          .qos = file.at("qos"),
          .constraint = file.at("constraint"),
          .array_cap = file.at("array_cap"),
          .lines = file.at("lines"),
          .environment = file.at("environment"),
          .srun = file.at("srun")};
}

ordered_json to_json(const TemplateLaunch& commands) {
  return {{"submit", commands.submit}, {"state", commands.state}, {"cancel", commands.cancel},
          {"find", commands.find},     {"job", commands.job},     {"ended", commands.ended},
          {"gone", commands.gone},     {"lines", commands.lines}, {"launcher", commands.launcher}};
}

TemplateLaunch template_from(const json& file) {
  return {.submit = file.at("submit"),
          .state = file.at("state"),
          .cancel = file.at("cancel"),
          .find = file.value("find", std::vector<std::string>()),  // older ones have none
          .job = file.at("job"),
          .ended = file.at("ended"),
          .gone = file.value("gone", TemplateLaunch().gone),
          .lines = file.at("lines"),
          .launcher = file.at("launcher")};
}

ordered_json to_json(const JobSettings& job) {
  return {{"signal_before", job.signal_before},
          {"max_stalled_timeouts", job.max_stalled_timeouts},
          {"modules", job.modules},
          {"setup", job.setup},
          {"container", job.container}};
}

JobSettings job_from(const json& file) {
  return {.signal_before = file.at("signal_before"),
          .max_stalled_timeouts = file.at("max_stalled_timeouts"),
          .modules = file.at("modules"),
          .setup = file.at("setup"),
          .container = file.at("container")};
}

std::vector<std::string> parents_from(const json& file) {
  if (file.contains("parents")) return file.at("parents");
  const std::string only = file.at("parent");  // of an older one
  return only.empty() ? std::vector<std::string>() : std::vector{only};
}

Submission submission_from(const json& file) {
  Submission submission{.sweep = file.at("sweep"),
                        .name = file.at("name"),
                        .time = file.at("time"),
                        .program = file.at("program").get<std::string>(),
                        .resources = resources_from(file.at("resources")),
                        .how = {},
                        .job = job_from(file.at("job")),
                        .retries = file.at("retries"),
                        .tasks = file.at("tasks"),
                        .parents = parents_from(file),
                        .dependency = file.at("dependency"),
                        .jobs = file.at("jobs"),
                        .abandoned = file.at("abandoned")};
  submission.in_doubt = file.value("in_doubt", submission.jobs.empty());
  if (file.contains("slurm"))
    submission.how = slurm_from(file.at("slurm"));
  else
    submission.how = template_from(file.at("template"));
  return submission;
}

std::string fresh_token() {
  std::random_device random;
  return fmt::format("{:08x}", random());
}

}  // namespace

std::int64_t Submission::count_runs() const {
  std::int64_t count = 0;
  for (const auto& task : tasks) count += std::int64_t(task.size());
  return count;
}

fs::path submissions_folder(const fs::path& sweep_folder) { return sweep_folder / "submissions"; }

fs::path submission_folder(const fs::path& sweep_folder, int number) {
  return numbered_folder(submissions_folder(sweep_folder), number);
}

std::string job_script_name(const Submission& submission, std::size_t task) {
  return std::holds_alternative<SlurmLaunch>(submission.how) ? "job.sh"
                                                             : fmt::format("job-{}.sh", task);
}

void create_submission(const fs::path& sweep_folder, Submission& submission) {
  submission.number = make_numbered_folder(submissions_folder(sweep_folder));
  submission.name = fmt::format("{}.{:04}.{}", submission.sweep, submission.number, fresh_token());
  submission.time = seconds_since_1970();
  submission.in_doubt = true;
  write_submission(sweep_folder, submission);
}

void write_submission(const fs::path& sweep_folder, const Submission& submission) {
  ordered_json file = {{"sweep", submission.sweep},
                       {"name", submission.name},
                       {"time", submission.time},
                       {"program", submission.program.string()},
                       {"resources", to_json(submission.resources)},
                       {"job", to_json(submission.job)},
                       {"retries", submission.retries},
                       {"parents", submission.parents},
                       {"dependency", submission.dependency},
                       {"tasks", submission.tasks},
                       {"jobs", submission.jobs},
                       {"abandoned", submission.abandoned},
                       {"in_doubt", submission.in_doubt}};
  if (const auto* slurm = std::get_if<SlurmLaunch>(&submission.how))
    file["slurm"] = to_json(*slurm);
  else
    file["template"] = to_json(std::get<TemplateLaunch>(submission.how));
  write_file_atomically(submission_folder(sweep_folder, submission.number) / "submission.json",
                        file.dump(1) + "\n");
}

Submission read_submission(const fs::path& folder) {
  const fs::path path = folder / "submission.json";
  const std::string text = read_file(path, 256u << 20, Links::refuse);
  try {
    Submission submission = submission_from(parse_json_or_throw(text));
    submission.number = number_of(folder);
    return submission;
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}; the jobs that it names are not known any more: remove this "
                            "folder once they have ended",
                            path.string(), error.what()),
                ExitCode::bad_input);
  }
}

std::vector<Submission> read_submissions(const fs::path& sweep_folder) {
  std::vector<Submission> all;
  for (const int number : numbered_folders(submissions_folder(sweep_folder))) {
    const fs::path folder = submission_folder(sweep_folder, number);
    if (fs::exists(folder / "submission.json")) all.push_back(read_submission(folder));
  }
  return all;
}

std::string TaskReference::job() const {
  return submission && task < submission->jobs.size() ? submission->jobs[task] : std::string();
}

std::map<std::string, TaskReference> newest_tasks(const std::vector<Submission>& submissions) {
  std::map<std::string, TaskReference> newest;
  for (const Submission& submission : submissions) {
    if (submission.abandoned) continue;
    for (std::size_t task = 0; task < submission.tasks.size(); ++task)
      for (const std::string& run : submission.tasks[task]) newest[run] = {&submission, task};
  }
  return newest;
}

}  // namespace metascale
