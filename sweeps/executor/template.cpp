// A batch system that is known by some commands of the sweep file: PBS, LSF, SGE and others.
#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <span>
#include <sstream>

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
// There are no arrays: one job for each task. Each is noted at once, so submissions are kept small.
constexpr std::size_t most_jobs = 100;
constexpr std::size_t most_ids_a_call = 100;
constexpr const char* several = "{jobs}";  // a word that stands for many ids

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (!is_blank(line)) lines.push_back(line);
  return lines;
}

// A line of a list names its job first, in many systems without the server's name or with a part
// of it: 123.serv for 123.server.
std::string number_of(const std::string& job) { return job.substr(0, job.find('.')); }
std::string job_of_line(const std::string& line) {
  std::string word;
  std::istringstream(line) >> word;
  return number_of(word);
}

// Whether a signal ended it, by its exit code, which some commands have for errors of their own
// (PBS: 153 for a job that it does not know).
bool was_killed(const CommandResult& result) {
  return result.exit_code > 128 && result.exit_code <= 128 + 64;
}

class TemplateScheduler : public Scheduler {
 public:
  explicit TemplateScheduler(TemplateLaunch commands)
      : commands_(std::move(commands)), ended_(commands_.ended), gone_(commands_.gone) {}

  void submit(const fs::path& sweep_folder, Submission& submission,
              const std::function<void()>& goes_on) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    submission.in_doubt = false;  // in its file it is, until the last one has been noted
    while (submission.jobs.size() < submission.tasks.size()) {
      const std::size_t task = submission.jobs.size();
      const Holes holes = holes_of(submission, folder, task);
      write_file_atomically(holes.script, template_script(submission, folder, task));
      const CommandResult result = call(commands_.submit, submission, folder, holes);
      submission.in_doubt = may_have_been_heard(result);
      submission.jobs.push_back(job_in(result, holes.script));
      note(sweep_folder, submission);
      submission.in_doubt = false;
      goes_on();
    }
  }

  std::string scripts(const fs::path& sweep_folder, const Submission& submission) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    std::string text;
    for (std::size_t task = 0; task < submission.tasks.size(); ++task) {
      const Holes holes = holes_of(submission, folder, task);
      text += fmt::format("cd {} && {}\n# {}:\n{}\n", shell_quoted(folder.string()),
                          shell_quoted(words_of(commands_.submit, submission, folder, holes)),
                          fs::path(holes.script).filename().string(),
                          template_script(submission, folder, task));
    }
    return text;
  }

  std::optional<JobStates> states(const std::vector<const Submission*>& submissions, double seconds,
                                  std::string& complaint) override {
    JobStates states;
    const std::size_t step = asks_for_several() ? most_ids_a_call : 1;
    for (const Submission* submission : submissions)
      for (std::size_t begin = 0; begin < submission->jobs.size(); begin += step) {
        const std::span<const std::string> jobs =
            std::span(submission->jobs)
                .subspan(begin, std::min(step, submission->jobs.size() - begin));
        const CommandResult result = call_for(commands_.state, *submission, jobs, seconds);
        if (!is_answer(result, asks_for_several())) {
          complaint = commands_.state[0] + ": " + result.complaint();
          return std::nullopt;
        }
        take_states(result, jobs, states);
      }
    return states;
  }

  std::vector<std::string> find(const Submission& submission) override {
    std::vector<std::string> jobs = submission.jobs;
    const CommandResult result =
        call(commands_.find, submission, {}, holes_of(submission, {}, submission.jobs.size()));
    if (!is_answer(result, false))
      throw Error(fmt::format("{}: {}; nothing is handed over while it is not known what was",
                              commands_.find[0], result.complaint()),
                  ExitCode::unavailable);
    if (!result.good() || is_blank(result.output)) return jobs;
    const auto job = job_in(result.output);
    if (!job)
      throw no_job_in(commands_.find[0], result.output,
                      "mend that pattern, or print nothing where there is no job");
    jobs.push_back(*job);
    return jobs;
  }
  bool finds_by_name() override { return !commands_.find.empty(); }

  void cancel(const std::vector<std::string>& jobs) override {
    const Submission none;
    for (const std::string& job : jobs) {
      const CommandResult result = call_for(commands_.cancel, none, {&job, 1}, answer_seconds);
      if (!result.good())
        throw Error(commands_.cancel[0] + ": " + result.complaint() + "; try again",
                    ExitCode::unavailable);
    }
  }

  std::string requeue(const std::string&) override { return "this batch system cannot requeue"; }
  std::size_t most_tasks() override { return most_jobs; }

 private:
  static Holes holes_of(const Submission& submission, const fs::path& folder, std::size_t task) {
    return {.script = (folder / job_script_name(submission, task)).string(),
            .job = "",
            .name = job_name(submission, task)};
  }

  static Words words_of(const Words& command, const Submission& submission, const fs::path& folder,
                        const Holes& holes, std::span<const std::string> jobs = {}) {
    Words words;
    for (const std::string& word : command)
      if (word == several && !jobs.empty())
        words.insert(words.end(), jobs.begin(), jobs.end());
      else
        words.push_back(filled(word, submission, folder, holes));
    return words;
  }

  static CommandResult call(const Words& command, const Submission& submission,
                            const fs::path& folder, const Holes& holes) {
    return run_command(words_of(command, submission, folder, holes),
                       {.folder = folder, .seconds = answer_seconds});
  }

  static CommandResult call_for(const Words& command, const Submission& submission,
                                std::span<const std::string> jobs, double seconds) {
    const Holes holes{.script = "", .job = jobs[0], .name = ""};
    return run_command(words_of(command, submission, {}, holes, jobs),
                       {.folder = {}, .seconds = seconds});
  }

  // Whoever is killed before the next one is noted leaves it in doubt.
  static void note(const fs::path& sweep_folder, const Submission& submission) {
    Submission noted = submission;
    noted.in_doubt = true;
    write_submission(sweep_folder, noted);
  }

  bool asks_for_several() const {
    return std::find(commands_.state.begin(), commands_.state.end(), several) !=
           commands_.state.end();
  }

  // A submit that failed is a refusal, unless it was cut off; it is looked for where it can be.
  bool may_have_been_heard(const CommandResult& result) {
    return result.found &&
           (result.good() || result.timed_out || was_killed(result) || finds_by_name());
  }

  // Whether a command that asks for jobs came through to those who know: one that failed, and says
  // so in words that do not mean that the job is gone, tells nothing of any job.
  bool is_answer(const CommandResult& result, bool of_several) const {
    if (result.timed_out || !result.found || result.exit_code == 127) return false;
    if (result.good()) return true;
    if (is_blank(result.error) && (of_several || is_blank(result.output)))
      return !was_killed(result);
    if (!of_several) return says_gone(result.error) || says_gone(result.output);
    const auto lines = lines_of(result.error);
    return std::all_of(lines.begin(), lines.end(),
                       [&](const std::string& line) { return says_gone(line); });
  }
  bool says_gone(const std::string& text) const {
    return !commands_.gone.empty() && std::regex_search(text, gone_);
  }

  JobState state_of(const std::string& text) const {
    const bool has_ended = !commands_.ended.empty() && std::regex_search(text, ended_);
    return {.phase = has_ended ? JobPhase::ended : JobPhase::queued,
            .word = has_ended ? "ended" : "there",
            .reason = "",
            .node = ""};
  }

  // Jobs of which nothing is said are not known any more.
  void take_states(const CommandResult& result, std::span<const std::string> jobs,
                   JobStates& states) const {
    if (!asks_for_several()) {
      if (result.good() && !result.output.empty()) states[jobs[0]] = state_of(result.output);
      return;
    }
    std::map<std::string, std::string> by_number;
    for (const std::string& job : jobs) by_number[number_of(job)] = job;
    for (const std::string& line : lines_of(result.output))
      if (const auto job = by_number.find(job_of_line(line)); job != by_number.end())
        states[job->second] = state_of(line);
  }

  std::optional<std::string> job_in(const std::string& text) const {
    std::smatch found;
    if (!std::regex_search(text, found, std::regex(commands_.job))) return std::nullopt;
    return found.size() > 1 ? found[1].str() : found[0].str();
  }

  std::string job_in(const CommandResult& result, const std::string& script) const {
    if (const auto job = result.good() ? job_in(result.output) : std::nullopt) return *job;
    if (result.good()) throw no_job_in(commands_.submit[0], result.output, "mend that pattern");
    throw Error(fmt::format("{}: {}; see {}", commands_.submit[0], result.complaint(), script),
                ExitCode::unavailable);
  }

  Error no_job_in(const std::string& program, const std::string& output,
                  const std::string& how_to_mend) const {
    return Error(
        fmt::format("{} printed '{}', in which launch.template.job ('{}') finds no job; {}",
                    program, output.substr(0, 200), commands_.job, how_to_mend),
        ExitCode::unavailable);
  }

  TemplateLaunch commands_;
  std::regex ended_, gone_;
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
