// Runs that grow out of other runs of the sweep [docs/growth.md].
#pragma once

#include <vector>

#include "sweeps/resolve/cells.hpp"

namespace metascale::resolving {

// The grown run of an include, and the from-scratch runs of its shape that it asks for. runs: those
// resolved so far, the parent among them. Throws Error{usage} with file:line: key where it is not.
std::vector<CellRun> grown_runs(const Definition& definition, const IncludeDefinition& include,
                                const std::vector<CellRun>& runs);

}  // namespace metascale::resolving
