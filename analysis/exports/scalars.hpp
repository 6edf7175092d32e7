// A log as a sequence of named numbers per step, whatever the format.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/run_file.hpp"

namespace metascale {

struct ScalarRow {
  std::int64_t step = 0;
  double time = 0;     // seconds since 1970, UTC: the run's start and the seconds of its steps
  double runtime = 0;  // seconds of steps so far
  std::vector<std::pair<std::string, double>> values;
};

// In the order of steps; an evaluation follows the step that it was made after.
void each_scalar_row(const RunLog& log, const std::function<void(const ScalarRow&)>& visit);

}  // namespace metascale
