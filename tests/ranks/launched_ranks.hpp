// `metascale train RUN` under mpirun: several processes, started and disturbed as they are on a
// cluster.
#pragma once

#include <sys/types.h>

#include <chrono>

#include "core/child.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale::testing {

struct EndedRanks {
  int code = 0;      // of mpirun
  std::string text;  // of all ranks and mpirun
};

class LaunchedRanks {
 public:
  LaunchedRanks(const std::filesystem::path& run_folder, int ranks, double rank_timeout = 20);
  // Rank 0 with the first folder, rank 1 with the second.
  LaunchedRanks(const std::filesystem::path& first, const std::filesystem::path& second);
  // Of these words, which run this folder.
  LaunchedRanks(const std::filesystem::path& run_folder, int ranks,
                const std::vector<std::string>& words);

  pid_t process_of(int rank) const;  // waits until it is there
  void ask_to_save();                // USR2, to all ranks
  bool is_running() { return !child_.poll(); }
  EndedRanks wait(std::chrono::seconds limit = std::chrono::seconds(60));  // fails the test then

 private:
  LaunchedRanks(const std::filesystem::path& run_folder, const std::vector<std::string>& arguments);
  std::filesystem::path run_folder_, output_;
  Child child_;
};

// Waits until the run's journal has so many steps; false where the ranks ended before.
bool wait_for_step(LaunchedRanks& ranks, const std::filesystem::path& run_folder,
                   std::size_t steps);

// Waits until this process is no more: MPI wakes one that hung to end it, and may end before it.
bool wait_until_gone(pid_t process);

// Trains to the end; fails the test if it does not end well.
Outcome trained_by(int ranks, const RunsFolder& runs, const RunConfig& config);

}  // namespace metascale::testing
