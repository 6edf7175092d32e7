// At which steps a run writes checkpoints, its end and stops apart.
#pragma once

#include "experiments/config.hpp"

namespace metascale {

bool is_scheduled(const LogConfig& log, std::int64_t step);
// The last scheduled step up to this one, which is included; 0: none.
std::int64_t last_scheduled(const LogConfig& log, std::int64_t step);

}  // namespace metascale
