// A batch system that is known by three commands of the sweep file: PBS, LSF, SGE and others.
#include <fmt/format.h>

#include <regex>

#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "core/error.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/executor/quote.hpp"
#include "sweeps/scheduler.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr double answer_seconds = 60;
constexpr std::size_t most_jobs = 100'000;  // there are no arrays: one job for each task

class TemplateScheduler : public Scheduler {
 public:
  explicit TemplateScheduler(TemplateLaunch commands) : commands_(std::move(commands)) {}

  void submit(const fs::path& sweep_folder, Submission& submission) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    while (submission.jobs.size() < submission.tasks.size()) {
      const std::size_t task = submission.jobs.size();
      const fs::path script = folder / fmt::format("job-{}.sh", task);
      write_file_atomically(script, template_script(submission, folder, task));
      const CommandResult result =
          call(commands_.submit, submission, folder, {.script = script.string(), .job = ""});
      submission.jobs.push_back(job_in(result, script));
    }
  }

  std::string scripts(const fs::path& sweep_folder, const Submission& submission) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    std::string text;
    for (std::size_t task = 0; task < submission.tasks.size(); ++task) {
      const fs::path script = folder / fmt::format("job-{}.sh", task);
      text += fmt::format("cd {} && {}\n# {}:\n{}\n", shell_quoted(folder.string()),
                          shell_quoted(words_of(commands_.submit, submission, folder,
                                                {.script = script.string(), .job = ""})),
                          script.filename().string(), template_script(submission, folder, task));
    }
    return text;
  }

  std::optional<JobStates> states(const std::vector<const Submission*>& submissions, double seconds,
                                  std::string& complaint) override {
    JobStates states;
    const std::regex ended(commands_.ended);
    for (const Submission* submission : submissions)
      for (const std::string& job : submission->jobs) {
        const CommandResult result =
            call(commands_.state, *submission, {}, {.script = "", .job = job}, seconds);
        if (result.timed_out || result.exit_code == 127) {
          complaint = commands_.state[0] + ": " + result.complaint();
          return std::nullopt;
        }
        if (!result.good() || result.output.empty()) continue;  // it is not known any more
        const bool has_ended = !commands_.ended.empty() && std::regex_search(result.output, ended);
        states[job] = {.phase = has_ended ? JobPhase::ended : JobPhase::queued,
                       .word = has_ended ? "ended" : "there",
                       .reason = "",
                       .node = ""};
      }
    return states;
  }

  std::vector<std::string> find(const Submission&) override { return {}; }

  void cancel(const std::vector<std::string>& jobs) override {
    const Submission none;
    for (const std::string& job : jobs) {
      const CommandResult result = call(commands_.cancel, none, {}, {.script = "", .job = job});
      if (!result.good())
        throw Error(commands_.cancel[0] + ": " + result.complaint() + "; try again",
                    ExitCode::unavailable);
    }
  }

  std::string requeue(const std::string&) override { return "this batch system cannot requeue"; }
  std::size_t most_tasks() override { return most_jobs; }

 private:
  static Words words_of(const Words& command, const Submission& submission, const fs::path& folder,
                        const Holes& holes) {
    Words words;
    for (const std::string& word : command)
      words.push_back(filled(word, submission, folder, holes));
    return words;
  }

  static CommandResult call(const Words& command, const Submission& submission,
                            const fs::path& folder, const Holes& holes,
                            double seconds = answer_seconds) {
    return run_command(words_of(command, submission, folder, holes),
                       {.folder = folder, .seconds = seconds});
  }

  std::string job_in(const CommandResult& result, const fs::path& script) const {
    std::smatch found;
    if (result.good() && std::regex_search(result.output, found, std::regex(commands_.job)))
      return found.size() > 1 ? found[1].str() : found[0].str();
    throw Error(result.good()
                    ? fmt::format("{} printed '{}', in which launch.template.job ('{}') finds no "
                                  "job; mend that pattern",
                                  commands_.submit[0], result.output.substr(0, 200), commands_.job)
                    : fmt::format("{}: {}; see {}", commands_.submit[0], result.complaint(),
                                  script.string()),
                ExitCode::unavailable);
  }

  TemplateLaunch commands_;
};

}  // namespace

std::unique_ptr<Scheduler> make_template_scheduler(const TemplateLaunch& commands) {
  return std::make_unique<TemplateScheduler>(commands);
}

std::unique_ptr<Scheduler> scheduler_of(const LaunchDefinition& launch) {
  if (const auto* commands = std::get_if<TemplateLaunch>(&launch.how))
    return make_template_scheduler(*commands);
  if (std::holds_alternative<SlurmLaunch>(launch.how)) return make_slurm_scheduler();
  throw error_at(launch.place, "a sweep for this machine has no batch system to submit to",
                 "write launch: {slurm: {partition: gpu}}, or start it with metascale run");
}

std::unique_ptr<Scheduler> scheduler_of(const Submission& submission) {
  if (const auto* commands = std::get_if<TemplateLaunch>(&submission.how))
    return make_template_scheduler(*commands);
  return make_slurm_scheduler();
}

}  // namespace metascale
