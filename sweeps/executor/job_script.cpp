#include "sweeps/executor/job_script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/error.hpp"
#include "sweeps/executor/quote.hpp"
#include "sweeps/scheduler.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

std::int64_t minutes_of(double seconds) { return std::int64_t(std::ceil(seconds / 60)); }

std::int64_t cpus_per_task(const JobResources& resources) {
  if (resources.ranks > 1) return (resources.cpus + resources.ranks - 1) / resources.ranks;
  return resources.runs * resources.cpus;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// Slurm takes these in the folder's name for its own, wherever the job's output is to go.
bool confuses_slurm(const fs::path& folder) {
  return folder.string().find_first_of("%\\") != std::string::npos;
}

// Options of sbatch. An empty value: it has none.
using Options = std::vector<std::pair<std::string, std::string>>;

// By which a job is found, ordered and started again.
Options options_of_array(const Submission& submission, const SlurmLaunch& slurm) {
  const std::string cap = slurm.array_cap ? fmt::format("%{}", slurm.array_cap) : "";
  // The signal is for the batch process only, which saves all its runs and asks for a new start; a
  // partition's own limit sends it, too.
  Options options{{"job-name", submission.name},
                  {"array", fmt::format("0-{}{}", submission.tasks.size() - 1, cap)},
                  {"signal", fmt::format("B:USR2@{}", std::int64_t(submission.job.signal_before))},
                  {"open-mode", "append"},
                  {"requeue", ""}};
  const std::int64_t minutes = minutes_of(submission.resources.time);
  if (minutes > 0)
    options.emplace_back(
        "time", fmt::format("{}-{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60));
  if (!submission.dependency.empty())
    options.emplace_back("dependency", "afterany:" + submission.dependency);
  return options;
}

Options options_of_devices(const JobResources& resources) {
  Options options{{"nodes", std::to_string(resources.nodes)},
                  {"ntasks", std::to_string(resources.ranks)},
                  {"cpus-per-task", std::to_string(cpus_per_task(resources))}};
  // Spelt so that old and new Slurm know it, and every node has as many.
  if (resources.gpus > 0)
    options.emplace_back("gres", fmt::format("gpu:{}", resources.gpus / resources.nodes));
  if (!resources.memory.empty()) options.emplace_back("mem", resources.memory);
  return options;
}

Options options_of_site(const SlurmLaunch& slurm, const fs::path& folder) {
  // Relative to the submission's folder, where sbatch is run.
  Options options{{"output", confuses_slurm(folder) ? "/dev/null" : "%a.out"},
                  {"export", slurm.environment.empty() ? "NIL" : joined(slurm.environment, ",")}};
  const Options given{{"partition", slurm.partition},
                      {"account", slurm.account},
                      {"qos", slurm.qos},
                      {"constraint", slurm.constraint}};
  for (const auto& [name, value] : given)
    if (!value.empty()) options.emplace_back(name, value);
  return options;
}

// What runs in the job: setup of the site, then our program in the shell's place.
std::string body_of(const Submission& submission, const fs::path& folder, const std::string& task) {
  // A warning that comes before the program listens must not end the shell.
  std::string text = "trap '' USR2\n";
  for (const std::string& module : submission.job.modules) {
    const std::string load = "module load " + shell_quoted(module);
    text += fmt::format("{} || {{ echo {} >&2; exit {}; }}\n", load,
                        shell_quoted(load + " failed: nothing was started; mend modules of the "
                                            "sweep file's launch, or the site's modules"),
                        int(ExitCode::unavailable));
  }
  for (const std::string& line : submission.job.setup) text += line + "\n";
  std::vector<std::string> words = launcher_words(submission);
  const fs::path runs = folder.parent_path().parent_path() / "runs";
  words.insert(words.end(), {submission.program.string(), "train", (runs / "RUN").string()});
  text += fmt::format("# starts each of its runs by: {}\n", comment_quoted(words));
  return text + fmt::format("exec {} launch {} {}\n", shell_quoted(submission.program.string()),
                            shell_quoted(folder.string()), task);
}

std::vector<std::pair<const char*, std::string>> values_of(const Submission& submission,
                                                           const fs::path& folder,
                                                           const Holes& holes) {
  const JobResources& resources = submission.resources;
  const std::int64_t minutes = minutes_of(resources.time);
  return {{"script", holes.script},
          {"job", holes.job},
          {"name", holes.name.empty() ? submission.name : holes.name},
          {"folder", folder.string()},
          {"hours", fmt::format("{:02}:{:02}:00", minutes / 60, minutes % 60)},
          {"minutes", std::to_string(minutes)},
          {"gpus", std::to_string(resources.gpus)},
          {"cpus", std::to_string(cpus_per_task(resources) * resources.ranks)},
          {"ranks", std::to_string(resources.ranks)},
          {"nodes", std::to_string(resources.nodes)},
          {"memory", resources.memory}};
}

using Value = std::function<std::string(const std::string& name)>;

std::string with_values(const std::string& text, const Value& value_of) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t end = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (text.compare(i, 2, "{{") == 0) {
      result += text[i++];
    } else if (end != std::string::npos) {
      result += value_of(text.substr(i + 1, end - i - 1));
      i = end;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::string filled(const std::string& text, const Submission& submission, const fs::path& folder,
                   const Holes& holes) {
  const auto values = values_of(submission, folder, holes);
  return with_values(text, [&](const std::string& name) {
    for (const auto& [key, value] : values)
      if (name == key) return value;
    throw Error(fmt::format("launch.template: '{{{}}}' stands for nothing; there are {}", name,
                            known_holes()),
                ExitCode::usage);
  });
}

std::string unknown_hole(const std::string& text) {
  const auto values = values_of({}, {}, {});
  std::string unknown;
  with_values(text, [&](const std::string& name) {
    const bool is_known = std::any_of(values.begin(), values.end(),
                                      [&](const auto& value) { return name == value.first; });
    if (!is_known && unknown.empty()) unknown = "{" + name + "}";
    return std::string();
  });
  return unknown;
}

std::string known_holes() {
  std::string text;
  for (const auto& [key, value] : values_of({}, {}, {}))
    text += fmt::format("{}{{{}}}", text.empty() ? "" : " ", key);
  return text;
}

std::vector<std::string> launcher_words(const Submission& submission) {
  std::vector<std::string> words;
  const JobResources& resources = submission.resources;
  if (const auto* slurm = std::get_if<SlurmLaunch>(&submission.how); slurm && resources.ranks > 1) {
    // Since 22.05 srun does not take over the job's cores per task.
    words = {"srun", fmt::format("--ntasks={}", resources.ranks),
             fmt::format("--cpus-per-task={}", cpus_per_task(resources)), "--kill-on-bad-exit=1",
             "--export=ALL"};
    words.insert(words.end(), slurm->srun.begin(), slurm->srun.end());
  }
  if (const auto* other = std::get_if<TemplateLaunch>(&submission.how);
      other && resources.ranks > 1)
    for (const std::string& word : other->launcher)
      words.push_back(filled(word, submission, {}, {}));
  const auto& container = submission.job.container;
  words.insert(words.end(), container.begin(), container.end());
  return words;
}

std::vector<std::string> sbatch_options(const Submission& submission, const fs::path& folder) {
  const auto& slurm = std::get<SlurmLaunch>(submission.how);
  std::vector<std::string> words;
  for (const Options& options :
       {options_of_array(submission, slurm), options_of_devices(submission.resources),
        options_of_site(slurm, folder)})
    for (const auto& [name, value] : options)
      words.push_back("--" + name + (value.empty() ? "" : "=" + value));
  words.insert(words.end(), slurm.lines.begin(), slurm.lines.end());
  return words;
}

std::string job_name(const Submission& submission, std::size_t task) {
  return fmt::format("{}.{}", submission.name, task);
}

std::string slurm_script(const Submission& submission, const fs::path& folder) {
  const std::string task = "\"$SLURM_ARRAY_TASK_ID\"";
  std::string text = "#!/bin/bash\n";
  for (const std::string& option : sbatch_options(submission, folder))
    text += "#SBATCH " + directive_quoted(option) + "\n";
  if (confuses_slurm(folder))
    text += fmt::format("exec >>{}/{}.out 2>&1\n", shell_quoted(folder.string()), task);
  return text + body_of(submission, folder, task);
}

std::string template_script(const Submission& submission, const fs::path& folder,
                            std::size_t task) {
  std::string text = "#!/bin/bash\n";
  for (const std::string& line : std::get<TemplateLaunch>(submission.how).lines) {
    const std::string full = filled(line, submission, folder,
                                    {.script = "", .job = "", .name = job_name(submission, task)});
    if (full.find('\n') != std::string::npos)
      throw Error(fmt::format("launch.template.lines: '{}' needs {}, which holds a line break; "
                              "choose another folder with --results",
                              line, folder.string()),
                  ExitCode::usage);
    text += full + "\n";
  }
  return text + body_of(submission, folder, std::to_string(task));
}

std::optional<Contradiction> contradiction_in(const JobResources& resources,
                                              const JobSettings& job) {
  if (resources.gpus % resources.nodes || resources.ranks % resources.nodes)
    return Contradiction{"nodes",
                         fmt::format("{} GPUs and {} ranks on {} nodes: each node needs as many",
                                     resources.gpus, resources.ranks, resources.nodes),
                         "choose multiples"};
  if (resources.gpus > 1 && resources.ranks != resources.gpus)
    return Contradiction{
        "ranks",
        fmt::format("{} ranks and {} GPUs: each rank has one GPU", resources.ranks, resources.gpus),
        "write one of them"};
  if (resources.runs > 1 && (resources.ranks > 1 || resources.nodes > 1))
    return Contradiction{resources.gpus > 0 ? "runs_per_gpu" : "runs_per_node",
                         fmt::format("{} runs share a job, but each needs {} ranks on {} nodes",
                                     resources.runs, resources.ranks, resources.nodes),
                         "set runs_per_gpu and runs_per_node to 1"};
  if (resources.time > 0 && resources.time <= job.signal_before)
    return Contradiction{"time",
                         fmt::format("{} s, but each job is told to save {} s before its end",
                                     resources.time, job.signal_before),
                         "raise it, or lower signal_before of launch"};
  return std::nullopt;
}

void check_resources(const Submission& submission) {
  if (const auto found = contradiction_in(submission.resources, submission.job))
    throw Error(fmt::format("resources.{}: {}; {}", found->key, found->wrong, found->right),
                ExitCode::usage);
}

}  // namespace metascale
