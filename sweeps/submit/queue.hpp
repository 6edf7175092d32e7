// What stands in the batch system's queue, as far as that can be known before anything is handed
// over.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "sweeps/overview.hpp"

namespace metascale {

// Run -> what a person has to do before it is handed over (again).
using Doubts = std::map<std::string, std::string>;

// Runs whose job nobody noted, because submit was killed in between, and which cannot be found by
// name. Reads only.
Doubts doubts_of(const Ledger& ledger);
// Finds and notes what can be found first. Throws Error{unavailable} where the batch system does
// not answer.
Doubts settle_doubts(const Ledger& ledger);

// Another run of this run's newest job of which that is true; empty: there is none.
std::string run_beside(const std::map<std::string, TaskReference>& tasks, const Overview& overview,
                       const std::string& run,
                       const std::function<bool(const RunOverview&)>& is_meant);

// Throws Error{unavailable} where the batch system does not answer.
Overview sure_overview(const Ledger& ledger);

}  // namespace metascale
