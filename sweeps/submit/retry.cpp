#include "sweeps/submit/retry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "sweeps/attempt.hpp"
#include "sweeps/marks.hpp"
#include "sweeps/submit/queue.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

constexpr int most_looks = 30;  // for a job to end whose runs are over, a second apart

// Why a run must wait although it may be tried again: its job has begun, and does not come back to
// a run that it gave up, but goes on with others.
class Busy {
 public:
  Busy(const Ledger& ledger, const std::string& verb)
      : ledger_(ledger),
        verb_(verb),
        overview_(sure_overview(ledger)),
        submissions_(read_submissions(ledger.folder())),
        tasks_(newest_tasks(submissions_)) {}

  // Empty: it need not wait.
  std::string reason(const std::string& run) const {
    if (!works(run)) return "";
    const std::string& job = overview_.find(run)->job;
    if (const std::string well = run_beside_that(
            run, [](const RunOverview& other) { return !other.is_over() && other.word != "lost"; });
        !well.empty())
      return fmt::format("its job {} goes on with {}: call {} once that has ended", job, well,
                         verb_);
    if (const std::string open = open_run_beside(run); !open.empty())
      return fmt::format(
          "its job {} hangs with {}: call metascale submit, which takes that job back, then {}",
          job, open, verb_);
    return fmt::format("its job {} has not ended yet: call {} again", job, verb_);
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

  std::string run_beside_that(const std::string& run,
                              const std::function<bool(const RunOverview&)>& is_meant) const {
    return run_beside(tasks_, overview_, run, is_meant);
  }
  std::string open_run_beside(const std::string& run) const {
    return run_beside_that(run, [](const RunOverview& other) { return !other.is_over(); });
  }

  const Ledger& ledger_;
  const std::string& verb_;
  Overview overview_;
  std::vector<Submission> submissions_;
  std::map<std::string, TaskReference> tasks_;
};

std::unique_ptr<Busy> busy_once_ended(const Ledger& ledger, const std::vector<std::string>& runs,
                                      const std::string& verb) {
  for (int look = 1;; ++look) {
    auto busy = std::make_unique<Busy>(ledger, verb);
    const bool any_ends = std::any_of(runs.begin(), runs.end(),
                                      [&](const std::string& run) { return busy->ends_soon(run); });
    if (!any_ends || look == most_looks) return busy;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

std::vector<LeftOut> take_marks_away(const Ledger& ledger, const std::vector<std::string>& runs,
                                     const std::string& verb) {
  const auto busy = busy_once_ended(ledger, runs, verb);
  std::vector<LeftOut> left_out;
  for (const std::string& run : runs) {
    if (const std::string why = busy->reason(run); !why.empty()) {
      left_out.push_back({run, why});
      continue;
    }
    fs::remove(ledger.run_folder(run) / "CANCELLED");
    forget_failure(ledger.run_folder(run), "to be tried again");
    ledger.event("retried", run, "");
  }
  return left_out;
}

SubmitResult retry_runs(const Ledger& ledger, const std::vector<std::string>& runs) {
  std::vector<std::string> again;
  for (const std::string& run : runs)
    if (!fs::exists(ledger.run_folder(run) / "DONE")) again.push_back(run);
  const std::vector<LeftOut> left_out = take_marks_away(ledger, again, "metascale retry");
  for (const LeftOut& left : left_out) std::erase(again, left.run);
  SubmitResult result = submit_again(ledger, again, {.lease_seconds = 10, .own_job = {}});
  result.left_out.insert(result.left_out.begin(), left_out.begin(), left_out.end());
  return result;
}

}  // namespace metascale
