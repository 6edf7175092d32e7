// Our own launcher: the ranks of one run on this machine, without MPI and without a network.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace metascale {

// Tells a process which rank it is, how many there are, and its sockets to each of the others.
inline constexpr const char* ranks_variable = "METASCALE_RANKS";
inline constexpr int most_local_ranks = 32;

struct LocalRanks {
  int count = 1;                   // 2 to most_local_ranks
  std::vector<std::string> words;  // the program and its arguments, the same for all
  std::function<int()> signal;     // that arrived last, 0: none; each rank gets it
  double grace_seconds = 15;       // for the others once a rank has failed; then they are killed
};

// Starts them and waits for all. They end (TERM) with this process. Returns what the first rank
// that failed by itself ended with; else 128 + the signal that ended one; else what rank 0 ended
// with. Throws Error{unavailable} where they cannot be started. Call it before any thread is made.
int run_local_ranks(const LocalRanks& ranks);

}  // namespace metascale
