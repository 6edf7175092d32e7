#include "experiments/training/checkpoint_schedule.hpp"

#include <algorithm>

namespace metascale {

bool is_scheduled(const LogConfig& log, std::int64_t step) {
  const auto& [every, keep, at] = log;
  return (every > 0 && step % every == 0) || std::find(at.begin(), at.end(), step) != at.end();
}

std::int64_t last_scheduled(const LogConfig& log, std::int64_t step) {
  std::int64_t last = log.checkpoint_every > 0 ? step - step % log.checkpoint_every : 0;
  for (const std::int64_t at : log.checkpoint_at)
    if (at <= step) last = std::max(last, at);
  return last;
}

}  // namespace metascale
