// Slurm, by its own commands and without slurmdbd: sbatch, squeue, scancel, scontrol.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <regex>
#include <sstream>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/command.hpp"
#include "core/error.hpp"
#include "core/heartbeat.hpp"
#include "sweeps/executor/job_script.hpp"
#include "sweeps/executor/quote.hpp"
#include "sweeps/scheduler.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr double submit_seconds = 90;  // a busy controller may take its time
constexpr double answer_seconds = 30;
constexpr std::size_t usual_tasks = 1000;  // below MaxArraySize of 1001, which is Slurm's default
constexpr std::size_t most_jobs_a_call = 500;

// %j last: of all of these only a name could hold a bar.
constexpr const char* columns = "%F|%K|%T|%N|%r|%M|%S|%j";
enum Column : std::size_t {
  array_job,
  element,
  state,
  node,
  reason,
  time_used,   // %M: without suspensions
  start_time,  // %S
  name,
  column_count
};

// They would filter an answer, or change what submit does not always say by arguments: where a job
// is found again, what it waits for, whether it comes back.
const std::vector<std::string> unwanted_variables{
    "SQUEUE_*",          "SCANCEL_*",   "SLURM_CLUSTERS",   "SBATCH_CLUSTERS",
    "SBATCH_DEPENDENCY", "SBATCH_WAIT", "SBATCH_NO_REQUEUE"};

using Row = std::vector<std::string>;

std::vector<Row> rows_of(const std::string& text) {
  std::vector<Row> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    Row row;
    std::size_t begin = 0;
    while (row.size() + 1 < column_count) {
      const std::size_t end = line.find('|', begin);
      if (end == std::string::npos) break;
      row.push_back(line.substr(begin, end - begin));
      begin = end + 1;
    }
    row.push_back(line.substr(begin));
    if (row.size() == column_count) rows.push_back(std::move(row));
  }
  return rows;
}

constexpr const char* queued_words[] = {"PENDING",      "REQUEUED",      "REQUEUE_FED",
                                        "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"};
constexpr const char* ended_words[] = {"COMPLETED", "FAILED",       "TIMEOUT",   "CANCELLED",
                                       "NODE_FAIL", "PREEMPTED",    "BOOT_FAIL", "DEADLINE",
                                       "REVOKED",   "OUT_OF_MEMORY"};

// A word that is not known counts as running: nothing is then handed over a second time.
JobPhase phase_of(const std::string& word) {
  const auto is = [&](const char* known) { return word == known; };
  if (std::any_of(std::begin(queued_words), std::end(queued_words), is)) return JobPhase::queued;
  if (std::any_of(std::begin(ended_words), std::end(ended_words), is)) return JobPhase::ended;
  return JobPhase::running;
}

std::string job_of(const Row& row) { return row[array_job] + "_" + row[element]; }

// "2-03:04:05", "4:05"; nothing for "INVALID".
std::optional<double> seconds_of(const std::string& used) {
  static const std::regex form("(?:(?:([0-9]{1,6})-)?([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{1,6})");
  std::smatch found;
  if (!std::regex_match(used, found, form)) return std::nullopt;
  const auto part = [&](std::size_t i) { return found[i].matched ? std::stod(found[i]) : 0; };
  return ((part(1) * 24 + part(2)) * 60 + part(3)) * 60 + part(4);
}

// Since 1970, as SLURM_TIME_FORMAT below asks for it; nothing for "N/A".
std::optional<double> time_of(const std::string& text) {
  static const std::regex form("[0-9]{1,12}");
  return std::regex_match(text, form) ? std::optional(std::stod(text)) : std::nullopt;
}

// asked: when, in seconds since 1970. squeue measures the time used by this machine's clock, too.
JobState state_of(const Row& row, double asked) {
  JobState job{.phase = phase_of(row[state]),
               .word = row[state],
               .reason = row[reason] == "None" ? "" : row[reason],
               .node = row[node]};
  const auto started = time_of(row[start_time]), used = seconds_of(row[time_used]);
  if (job.phase != JobPhase::running || !started) return job;
  job.seconds = std::max(0.0, asked - *started);
  // That of a job that comes to its end stands still.
  if (job.word == "RUNNING" && used) job.suspended_seconds = std::max(0.0, *job.seconds - *used);
  return job;
}

// Also jobs of partitions that are hidden.
CommandResult squeue(const std::string& names, double seconds) {
  return run_command({"env", "SLURM_TIME_FORMAT=%s", "squeue", "-a", "-r", "-h", "-t", "all",
                      "--name=" + names, "-o", columns},
                     {.folder = {}, .seconds = seconds, .without = unwanted_variables});
}

std::vector<std::string> sbatch_words(const Submission& submission, const fs::path& folder) {
  std::vector<std::string> words{"sbatch", "--parsable"};
  for (const std::string& option : sbatch_options(submission, folder)) words.push_back(option);
  words.push_back(job_script_name(submission, 0));
  return words;
}

std::vector<std::string> jobs_of_array(const std::string& array, std::size_t tasks) {
  std::vector<std::string> jobs;
  for (std::size_t task = 0; task < tasks; ++task)
    jobs.push_back(fmt::format("{}_{}", array, task));
  return jobs;
}

class SlurmScheduler : public Scheduler {
 public:
  void submit(const fs::path& sweep_folder, Submission& submission,
              const std::function<void()>& goes_on) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    const fs::path script = folder / job_script_name(submission, 0);
    write_file_atomically(script, slurm_script(submission, folder));
    const CommandResult result =
        run_command(sbatch_words(submission, folder),
                    {.folder = folder, .seconds = submit_seconds, .without = unwanted_variables});
    const std::string id = result.output.substr(0, result.output.find_first_of(";\n"));
    if (result.good() && !id.empty() && id.find_first_not_of("0123456789") == std::string::npos)
      submission.jobs = jobs_of_array(id, submission.tasks.size());
    else
      submission.jobs = found_after_failure(submission, result);
    if (submission.jobs.empty())
      throw Error(fmt::format("sbatch: {}; see {}", result.complaint(), script.string()),
                  ExitCode::unavailable);
    goes_on();
  }

  std::string scripts(const fs::path& sweep_folder, const Submission& submission) override {
    const fs::path folder = fs::absolute(submission_folder(sweep_folder, submission.number));
    return fmt::format(
        "# {}\ncd {} && {}\n# job.sh:\n{}\n", submission.name, shell_quoted(folder.string()),
        shell_quoted(sbatch_words(submission, folder)), slurm_script(submission, folder));
  }

  std::optional<JobStates> states(const std::vector<const Submission*>& submissions, double seconds,
                                  std::string& complaint) override {
    JobStates states;
    std::map<std::string, std::string> array_of;  // by name: ids are given anew after a crash
    std::string names;
    for (const Submission* submission : submissions) {
      if (submission->jobs.empty()) continue;
      array_of[submission->name] = submission->jobs[0].substr(0, submission->jobs[0].find('_'));
      names += (names.empty() ? "" : ",") + submission->name;
    }
    if (names.empty()) return states;
    const double asked = seconds_since_1970();
    const CommandResult result = squeue(names, seconds);
    if (!result.good()) {
      complaint = "squeue: " + result.complaint();
      return std::nullopt;
    }
    for (const Row& row : rows_of(result.output)) {
      const auto known = array_of.find(row[name]);
      if (known == array_of.end() || known->second != row[array_job]) continue;
      if (row[state] == "REVOKED") continue;  // another cluster of a federation has it
      states[job_of(row)] = state_of(row, asked);
    }
    return states;
  }

  std::vector<std::string> find(const Submission& submission) override {
    const CommandResult result = squeue(submission.name, answer_seconds);
    if (!result.good())
      throw Error(fmt::format("squeue: {}; nothing is handed over while it is not known what was",
                              result.complaint()),
                  ExitCode::unavailable);
    for (const Row& row : rows_of(result.output))
      if (row[name] == submission.name)
        return jobs_of_array(row[array_job], submission.tasks.size());
    return {};
  }

  void cancel(const std::vector<std::string>& jobs) override {
    for (std::size_t begin = 0; begin < jobs.size(); begin += most_jobs_a_call) {
      std::vector<std::string> words{"scancel"};
      const std::size_t end = std::min(jobs.size(), begin + most_jobs_a_call);
      words.insert(words.end(), jobs.begin() + std::ptrdiff_t(begin),
                   jobs.begin() + std::ptrdiff_t(end));
      const CommandResult result = run_command(
          words, {.folder = {}, .seconds = answer_seconds, .without = unwanted_variables});
      if (!result.good())
        throw Error("scancel: " + result.complaint() + "; try again", ExitCode::unavailable);
    }
  }

  std::string requeue(const std::string& job) override {
    const CommandResult result =
        run_command({"scontrol", "requeue", job},
                    {.folder = {}, .seconds = answer_seconds, .without = unwanted_variables});
    return result.good() ? "" : "scontrol requeue: " + result.complaint();
  }

  std::size_t most_tasks() override {
    const CommandResult result =
        run_command({"scontrol", "show", "config"}, {.folder = {}, .seconds = 5});
    const std::size_t at = result.output.find("MaxArraySize");
    const std::size_t value = at == std::string::npos ? at : result.output.find('=', at);
    if (!result.good() || value == std::string::npos) return usual_tasks;
    const long long size = std::atoll(result.output.c_str() + value + 1);
    return size >= 1 ? std::size_t(size) : usual_tasks;  // indices stay below it
  }

 private:
  // sbatch may fail to hear that it was heard.
  std::vector<std::string> found_after_failure(const Submission& submission,
                                               const CommandResult& failure) {
    // Anything else is a refusal, and final.
    const bool is_in_doubt = failure.timed_out || failure.good() || failure.exit_code > 128 ||
                             failure.error.find("timed out") != std::string::npos ||
                             failure.error.find("contact") != std::string::npos ||
                             failure.error.find("onnection") != std::string::npos;
    for (int look = 0; look < 3; ++look) {
      std::this_thread::sleep_for(std::chrono::milliseconds(look == 0 ? 100 : 2000));
      const CommandResult result = squeue(submission.name, answer_seconds);
      if (!result.good()) continue;
      for (const Row& row : rows_of(result.output))
        if (row[name] == submission.name)
          return jobs_of_array(row[array_job], submission.tasks.size());
      if (!is_in_doubt) return {};
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Scheduler> make_slurm_scheduler() { return std::make_unique<SlurmScheduler>(); }

}  // namespace metascale
