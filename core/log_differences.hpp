// Where two runs' logs differ. Numbers are compared by their bits, so NaN equals the same NaN and
// "equal" means what a resumed run promises.
#pragma once

#include <string>
#include <vector>

#include "core/run_file.hpp"

namespace metascale {

enum class LogPart {
  deterministic,  // the columns that a resumed or repeated run reproduces; no events
  everything
};

// One line per difference, at most `limit`: "steps[12].loss: 2.5 and 2.25". Empty: equal.
std::vector<std::string> log_differences(const RunLog& a, const RunLog& b, LogPart part,
                                         std::size_t limit = 10);

}  // namespace metascale
