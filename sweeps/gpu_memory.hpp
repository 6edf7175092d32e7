// Memory that the runs of a sweep will take of their GPUs, known before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "experiments/run_programs.hpp"
#include "sweeps/ledger.hpp"

namespace metascale {

// The ranks that a run is planned with: resources.ranks, else one for each of its GPUs.
int planned_ranks(const PlannedRun& run);

// The micro-batches of runs on GPUs whose file leaves them to us, each shape of run looked at once.
class AutomaticMicroBatches {
 public:
  // The largest divisor of the batch's windows that makes at most 32,768 tokens, leaves no rank
  // more than a tenth above its share, and fits the GPU that resources says (gpu_memory), else one
  // of 80 GB; 1 where none does: what does not fit is refused for itself, below.
  std::int64_t operator()(const PlannedRun& run);

 private:
  std::map<std::string, std::int64_t> known_;
};

// What its steps take of each of its devices. Throws Error{usage} where its batch cannot be shared
// by its ranks.
PlannedStep planned_step(const PlannedRun& run);

// Throws Error{usage} that names the first run not done that takes more of a GPU than there is, and
// the micro-batch that fits. A GPU has what resources says (gpu_memory), else here_bytes; 0: not
// known, nothing is refused. Runs that share a GPU have their part of it. Runs on CPUs always fit.
void refuse_above_memory(const Resolution& resolution, const Ledger& ledger,
                         std::size_t here_bytes);

}  // namespace metascale
