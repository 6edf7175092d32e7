// Our own launcher: the ranks of one run on this machine, without MPI and without a network.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/communicator.hpp"

namespace metascale {

// Tells a process which rank it is, how many there are, and its sockets to each of the others.
inline constexpr const char* ranks_variable = "METASCALE_RANKS";
inline constexpr int most_local_ranks = 32;

struct LocalRanks {
  int count = 1;                   // 2 to most_local_ranks
  std::vector<std::string> words;  // the program and its arguments, the same for all
  std::function<int()> signal;     // that arrived last, 0: none; each rank gets it
  double grace_seconds = 15;       // for the others once a rank has failed; then they are killed
  double start_seconds = least_meeting_seconds;  // for each to become the program
};

struct EndedLocalRanks {
  // What the first rank that failed by itself ended with; else 128 + the signal that ended one, or
  // run_failed where one never began; else what rank 0 ended with.
  int code = 0;
  // The rank that could not tell why it ended, and how it did: "rank 2 (process 71) was ended by
  // signal 9 (Killed)". Empty where none was lost, or they had been asked to end.
  std::string lost;
};

// Starts them and waits for all. They end (TERM) with this process. Throws Error{unavailable} where
// they cannot be started. Call it before any thread is made.
EndedLocalRanks run_local_ranks(const LocalRanks& ranks);

}  // namespace metascale
