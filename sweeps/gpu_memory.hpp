// Memory that the runs of a sweep will take of their GPUs, known before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "experiments/run_programs.hpp"
#include "sweeps/ledger.hpp"

namespace metascale {

// The ranks that a run is planned with: resources.ranks, else one for each of its GPUs.
int planned_ranks(const PlannedRun& run);

// What its steps take of each of its devices. Throws Error{usage} where its batch cannot be shared
// by its ranks.
PlannedStep planned_step(const PlannedRun& run);

// Throws Error{usage} that names the first run not done that takes more of a GPU than there is, and
// the micro-batch that fits. A GPU has what resources says (gpu_memory), else here_bytes; 0: not
// known, nothing is refused. Runs that share a GPU have their part of it. Runs on CPUs always fit.
void refuse_above_memory(const Resolution& resolution, const Ledger& ledger,
                         std::size_t here_bytes);

}  // namespace metascale
