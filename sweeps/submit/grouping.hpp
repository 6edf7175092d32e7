// Which runs share an array, and which share a job.
#pragma once

#include <string>
#include <vector>

#include "sweeps/resolve.hpp"
#include "sweeps/submission.hpp"

namespace metascale {

// Throws Error{usage} where a run's resources contradict each other.
JobResources job_resources(const ResourceSettings& settings);

struct GroupedRun {
  const PlannedRun* run = nullptr;
  std::string parent;  // that it has to wait for; empty: none
  std::string behind;  // the array of its parent, where that is in the queue already
};

// Submissions without number, name and jobs, parents before their children, as the runs must be.
// Runs of equal resources share one; children do where their parents do, in the same way. Of at
// most most_tasks tasks each, which share the cap of one array by their number of tasks.
std::vector<Submission> grouped(const Definition& definition, const std::vector<GroupedRun>& runs,
                                std::size_t most_tasks, const std::filesystem::path& program);

// Packs of `size` runs.
std::vector<std::vector<std::string>> packed(const std::vector<std::string>& runs,
                                             std::int64_t size);

}  // namespace metascale
