// One cell of the grid becomes one run.
#pragma once

#include <map>
#include <vector>

#include "experiments/matching.hpp"
#include "sweeps/resolve.hpp"
#include "sweeps/resolve/settings.hpp"

namespace metascale::resolving {

struct MatchedSize {
  MatchRequest request;
  MatchResult result;  // in the order of the arms
};
using Sizes = std::map<std::size_t, MatchedSize>;  // by index into axes.sizes

struct CellRun {
  GridCell cell;
  RunConfig config;
  ModelCounts counts;
  Place place;  // of its length
};

// Matches the arms at every size that a cell or an include uses.
Sizes match_sizes(const Definition& definition, const std::vector<GridCell>& cells);

// The fact "schedule" of a run: kind, warm-up and decay.
std::string schedule_text(const ScheduleConfig& schedule);

CellRun run_of_cell(const Definition& definition, const Sizes& sizes, const GridCell& cell,
                    const TrainingSettings& extra, const TuningChoices& choices);

// The tuning's runs: every combination of its values for every arm, at one size, the shortest
// length and the first seed; scored on validation, with no test split.
std::vector<CellRun> trials(const Definition& definition, const std::vector<GridCell>& cells,
                            const Sizes& sizes);

}  // namespace metascale::resolving
