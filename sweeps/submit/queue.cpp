#include "sweeps/submit/queue.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/atomic_file.hpp"
#include "sweeps/attempt.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// Of the task in doubt: here a person writes its job's id, or nothing where there is none.
fs::path answer_file(const Ledger& ledger, const Submission& submission) {
  return fs::absolute(submission_folder(ledger.folder(), submission.number)) /
         fmt::format("job-{}.id", submission.jobs.size());
}

// A job that has started one of its runs was handed over, and they tell the rest.
bool has_begun(const Ledger& ledger, const Submission& submission) {
  const auto& runs = submission.tasks[submission.jobs.size()];
  return std::any_of(runs.begin(), runs.end(), [&](const std::string& run) {
    const auto attempts = read_attempts(ledger.run_folder(run));
    return !attempts.empty() && attempts.back().started >= submission.time;
  });
}

// Returns whether nothing is in doubt any more.
bool settle(const Ledger& ledger, Submission& submission) {
  const fs::path answer = answer_file(ledger, submission);
  if (fs::is_regular_file(answer)) {
    std::string id = read_file(answer, 4096, Links::refuse);
    id.erase(std::remove_if(id.begin(), id.end(), [](char c) { return c <= ' '; }), id.end());
    if (!id.empty()) submission.jobs.push_back(id);
    submission.abandoned = submission.jobs.empty();
  } else if (const auto scheduler = scheduler_of(submission); scheduler->finds_by_name()) {
    submission.jobs = scheduler->find(submission);
    submission.abandoned = submission.jobs.empty();
  } else if (!has_begun(ledger, submission)) {
    return false;
  }
  submission.in_doubt = false;
  return true;
}

}  // namespace

Doubts doubts_of(const Ledger& ledger) {
  Doubts doubts;
  for (const Submission& submission : read_submissions(ledger.folder())) {
    if (!submission.is_in_doubt() || scheduler_of(submission)->finds_by_name()) continue;
    const fs::path answer = answer_file(ledger, submission);
    if (fs::exists(answer) || has_begun(ledger, submission)) continue;
    for (const std::string& run : submission.tasks[submission.jobs.size()])
      doubts[run] = fmt::format(
          "submit was killed while it handed over {}: look for that job in the queue, and write "
          "its id into {}, or leave that file empty where there is none",
          fs::path(answer).replace_extension(".sh").string(), answer.string());
  }
  return doubts;
}

Doubts settle_doubts(const Ledger& ledger) {
  for (Submission& submission : read_submissions(ledger.folder()))
    if (submission.is_in_doubt() && settle(ledger, submission))
      write_submission(ledger.folder(), submission);
  return doubts_of(ledger);
}

std::string run_beside(const std::map<std::string, TaskReference>& tasks, const Overview& overview,
                       const std::string& run,
                       const std::function<bool(const RunOverview&)>& is_meant) {
  const auto task = tasks.find(run);
  if (task == tasks.end()) return "";
  for (const std::string& id : task->second.submission->tasks[task->second.task]) {
    const RunOverview* known = overview.find(id);
    // One that was handed over again since is of another job.
    if (id != run && known && known->job == task->second.job() && is_meant(*known)) return id;
  }
  return "";
}

Overview sure_overview(const Ledger& ledger) {
  Overview overview = overview_of(ledger, {.seconds = 30, .scheduler = {}});
  if (!overview.remark.empty())
    throw Error("the batch system does not answer (" + overview.remark +
                    "), so it is not known what is in its queue; try again",
                ExitCode::unavailable);
  return overview;
}

}  // namespace metascale
