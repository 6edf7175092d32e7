// How all runs of a sweep stand: their own files first, the batch system second. Takes no locks,
// changes nothing (a file is made for a moment, to read the clock of its file system), and works
// from any machine that sees the folder.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sweeps/attempt.hpp"
#include "sweeps/ledger.hpp"
#include "sweeps/scheduler.hpp"

namespace metascale {

struct RunOverview {
  RunStatus status;
  std::string word;       // pending queued running saved done failed cancelled timed_out lost
  std::string message;    // why, or what it waits for
  std::string job, node;  // of its newest job
  std::int64_t step = 0, steps = 0;      // steps: 0 where they are not known
  std::optional<double> seconds_left;    // of a running one, at its own speed so far
  std::optional<double> hours_left;      // on its devices; nothing where there is no speed to go by
  double gpu_hours = 0, core_hours = 0;  // used, all attempts
  std::optional<double> joules;          // nothing where one attempt has none
  std::optional<JobState> in_queue;      // what the batch system says of its newest job

  bool is_over() const { return word == "done" || word == "failed" || word == "cancelled"; }
  // In the hands of the batch system or of a process: not to be started once more.
  bool is_active() const { return word == "queued" || word == "running"; }
};

struct Overview {
  std::vector<RunOverview> runs;  // by id
  std::string remark;             // where the batch system did not answer
  bool uses_gpus = false;         // hours are of GPUs; else of cores
  double hours_used = 0;
  double hours_left = 0;                 // of the runs that are not over and whose speed is known
  std::int64_t unknown = 0;              // runs that are not over, and whose speed is not known
  std::optional<double> price_per_hour;  // of such a device

  const RunOverview* find(const std::string& id) const;
};

struct OverviewOptions {
  double seconds = 8;  // for the batch system to answer
  // Asked where jobs of submissions may still be there. Empty: the one of each submission.
  std::function<std::unique_ptr<Scheduler>(const Submission&)> scheduler;
};

Overview overview_of(const Ledger& ledger, const OverviewOptions& options = {});

// A table, its totals and remarks, lines of at most so many columns; 0: any.
std::string overview_table(const Overview& overview, int columns);

}  // namespace metascale
