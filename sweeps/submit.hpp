// Runs to and from a batch system: hand over, hand over again, take back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sweeps/overview.hpp"

namespace metascale {

struct SubmitOptions {
  std::vector<std::string> only, skip;  // patterns of run ids
  std::filesystem::path program;        // the metascale that jobs start
  double lease_seconds = 0;             // to wait while another process hands over
  bool retries_failed = false;          // failed runs, too: their marks are taken away
};

struct LeftOut {
  std::string run, why;
};
struct SubmitResult {
  std::vector<Submission> submissions;
  std::vector<LeftOut> left_out;     // of the selected runs
  std::vector<std::string> remarks;  // what the sweep file asks for and no batch system does
};

// Hands over what is neither done nor in the queue nor given up, and returns at once. Runs of equal
// resources become one array; a run whose parent is not done waits for the parent's job to end in
// any way, and looks for itself. A run that was perhaps handed over before, which nobody can find
// out but a person, is left out. Throws Error{unavailable} where the batch system does not answer
// (what it was handed before stands), Error{usage} where the launch is local. A failed run whose
// job goes on with others keeps its mark, and is left out.
SubmitResult submit_sweep(const Definition& definition, Ledger& ledger,
                          const SubmitOptions& options);
// The same, on paper: nothing is written, and a batch system that is silent is ignored.
struct SubmitPlan {
  SubmitResult result;  // numbers, names and jobs are only examples
  std::string scripts;
};
SubmitPlan plan_submit(const Definition& definition, const Ledger& ledger,
                       const SubmitOptions& options);

// Hands runs over once more, each as it was handed over last; those that are in the queue stay
// there. For jobs that resubmit themselves, and for retry.
struct AgainOptions {
  double lease_seconds = 0;  // to wait while another process hands over
  // The job that asks, if one does: being in it does not count as being in the queue. Called once
  // nobody else hands over; empty where nobody noted its id.
  std::function<std::string()> own_job;
};
SubmitResult submit_again(const Ledger& ledger, const std::vector<std::string>& runs,
                          const AgainOptions& options);

// Forgets that these runs failed or were cancelled, and hands those over again that a batch system
// had; the others are left to metascale run. A run whose job goes on with others stays marked, and
// is left out. Throws Error{unavailable} before any mark is taken away where the batch system does
// not answer.
SubmitResult retry_runs(const Ledger& ledger, const std::vector<std::string>& runs);

// Marks the runs that are not over as cancelled; jobs that have no other run to work on are taken
// back, in others the run is stopped within seconds. Returns the runs. Throws Error{unavailable}
// after the marks are made: no run of them starts any more.
std::vector<std::string> cancel_runs(const Ledger& ledger, const std::vector<std::string>& runs);

}  // namespace metascale
