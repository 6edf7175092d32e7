// A sweep on disk. It has no database: its state is its folder,
//   results/<sweep>/  sweep.yaml  sweep.lock.yaml  plan.csv  events.jsonl
//     runs/<run id>/  config.yaml  state.json  attempts/0001/out.log  DONE | FAILED ...
// Nothing here is ever deleted: a run whose line vanished from the sweep file stays.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sweeps/hours.hpp"
#include "sweeps/resolve.hpp"
#include "sweeps/status.hpp"

namespace metascale {

// What running a resolution would change in the folder.
struct LedgerChanges {
  std::vector<std::string> added;       // no folder yet
  std::vector<std::string> unfinished;  // there, not done: will be resumed
  std::vector<std::string> longer;  // unfinished again: done with fewer steps than are planned now
  std::vector<std::string> done;    // there and done: will be skipped
  // Unfinished, with a config.yaml that says something else by now.
  std::vector<std::string> updated;
  std::vector<std::string> vanished;  // there, but no longer in the sweep file
  // done, but evaluated otherwise than the sweep file says by now
  std::vector<std::string> evaluated_otherwise;
};

class Ledger {
 public:
  // folder: results/<sweep>. Nothing is written before update().
  explicit Ledger(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  // Throws Error{bad_input} for an id that would lead out of runs/: ids are read from files, too.
  std::filesystem::path run_folder(const std::string& id) const;

  LedgerChanges compare(const Resolution& resolution) const;
  // Creates the folders of new runs and rewrites sweep.yaml, plan.csv and the lock. Finished runs
  // are left alone; a trunk that has to go further than it did is no longer DONE.
  // Throws Error{usage} where a token file is not the one that the lock remembers.
  LedgerChanges update(const Definition& definition, const Resolution& resolution);

  RunStatus status(const std::string& id) const;
  std::vector<RunStatus> statuses() const;  // of all run folders, by id
  // By the clock that dates its files; nothing where this one is not there.
  std::optional<double> seconds_since_written(const std::filesystem::path& file) const {
    return clock_.seconds_since_written(file);
  }

  // Appends to events.jsonl: {"time":..., "kind":..., "run":..., "message":...}.
  void event(const std::string& kind, const std::string& run, const std::string& message) const;

  // The loss of the final evaluation on validation, by run id; infinite for a run that diverged.
  // Runs that are not over are left out.
  std::map<std::string, double> validation_losses(const std::vector<PlannedRun>& runs) const;

 private:
  void write_lock(const Definition& definition, const Resolution& resolution) const;
  std::filesystem::path folder_;
  mutable FileClock clock_;
};

// plan.csv: one line per run; hours of its own steps on one slot, empty where nothing measured
// them.
std::string plan_table(const Resolution& resolution, const StepSeconds& seconds);

}  // namespace metascale
