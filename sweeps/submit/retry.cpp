// metascale retry: marks are taken away, and the runs handed over as they were before.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "sweeps/attempt.hpp"
#include "sweeps/submit.hpp"
#include "sweeps/submit/queue.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr int most_looks = 30;  // for a job to end whose runs are over, a second apart

// Why a run must wait although it may be tried again: its job has begun, and does not come back to
// a run that it gave up, but goes on with others.
class Busy {
 public:
  explicit Busy(const Ledger& ledger)
      : ledger_(ledger),
        overview_(sure_overview(ledger)),
        submissions_(read_submissions(ledger.folder())),
        tasks_(newest_tasks(submissions_)) {}

  // Empty: it need not wait.
  std::string reason(const std::string& run) const {
    if (!works(run)) return "";
    const std::string &job = overview_.find(run)->job, open = open_run_beside(run);
    if (open.empty())
      return fmt::format("its job {} has not ended yet: call metascale retry again", job);
    return fmt::format("its job {} goes on with {}: call metascale retry once that has ended", job,
                       open);
  }
  // Its job ends by itself soon.
  bool ends_soon(const std::string& run) const {
    return works(run) && open_run_beside(run).empty();
  }

 private:
  bool works(const std::string& run) const {
    const RunOverview* known = overview_.find(run);
    if (!known || !known->in_queue || known->in_queue->phase == JobPhase::ended) return false;
    if (known->in_queue->phase == JobPhase::running) return true;
    const auto task = tasks_.find(run);
    if (task == tasks_.end() || known->in_queue->word != "there") return false;
    // This batch system does not say whether it runs; its runs do.
    const Submission& submission = *task->second.submission;
    const auto& together = submission.tasks[task->second.task];
    return std::any_of(together.begin(), together.end(), [&](const std::string& id) {
      const auto attempts = read_attempts(ledger_.run_folder(id));
      return !attempts.empty() &&
             (attempts.back().job == known->job || attempts.back().started >= submission.time);
    });
  }

  std::string open_run_beside(const std::string& run) const {
    return run_beside(tasks_, overview_, run,
                      [](const RunOverview& other) { return !other.is_over(); });
  }

  const Ledger& ledger_;
  Overview overview_;
  std::vector<Submission> submissions_;
  std::map<std::string, TaskReference> tasks_;
};

std::unique_ptr<Busy> busy_once_ended(const Ledger& ledger, const std::vector<std::string>& runs) {
  for (int look = 1;; ++look) {
    auto busy = std::make_unique<Busy>(ledger);
    const bool any_ends = std::any_of(runs.begin(), runs.end(),
                                      [&](const std::string& run) { return busy->ends_soon(run); });
    if (!any_ends || look == most_looks) return busy;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void take_marks_away(const fs::path& folder) {
  fs::remove(folder / "FAILED");
  fs::remove(folder / "CANCELLED");
  Heartbeat last = read_heartbeat(folder).value_or(Heartbeat{});
  last.phase = newest_checkpoint(folder) > 0 ? RunPhase::saved : RunPhase::pending;
  last.message = "to be tried again";
  last.time = 0;
  write_heartbeat(folder, last);
}

}  // namespace

SubmitResult retry_runs(const Ledger& ledger, const std::vector<std::string>& runs) {
  const auto busy = busy_once_ended(ledger, runs);
  std::vector<std::string> again;
  std::vector<LeftOut> left_out;
  for (const std::string& run : runs) {
    if (fs::exists(ledger.run_folder(run) / "DONE")) continue;
    if (const std::string why = busy->reason(run); !why.empty()) {
      left_out.push_back({run, why});
      continue;
    }
    take_marks_away(ledger.run_folder(run));
    ledger.event("retried", run, "");
    again.push_back(run);
  }
  SubmitResult result = submit_again(ledger, again, {.lease_seconds = 10, .own_job = {}});
  result.left_out.insert(result.left_out.begin(), left_out.begin(), left_out.end());
  return result;
}

}  // namespace metascale
