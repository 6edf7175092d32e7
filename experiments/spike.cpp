#include "experiments/spike.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace metascale {

bool SpikeDetector::is_spike(double loss) const {
  if (config_.action == OnSpike::ignore || std::int64_t(losses_.size()) < config_.window)
    return false;
  std::vector<double> sorted(losses_.begin(), losses_.end());
  const auto middle = sorted.begin() + std::ptrdiff_t(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return loss > config_.factor * *middle;
}

void SpikeDetector::add(double loss) {
  if (config_.action == OnSpike::ignore || !std::isfinite(loss) || is_spike(loss)) return;
  losses_.push_back(loss);
  if (std::int64_t(losses_.size()) > config_.window) losses_.pop_front();
}

void SpikeDetector::restart(const std::vector<StepRow>& rows) {
  losses_.clear();
  for (const StepRow& row : rows) add(row.loss);
}

std::string SpikeDetector::memory() const {
  const std::vector<double> losses(losses_.begin(), losses_.end());
  return {reinterpret_cast<const char*>(losses.data()), losses.size() * sizeof(double)};
}

void SpikeDetector::remember(const std::string& memory) {
  std::vector<double> losses(memory.size() / sizeof(double));
  if (!losses.empty()) std::memcpy(losses.data(), memory.data(), losses.size() * sizeof(double));
  losses_.assign(losses.begin(), losses.end());
}

}  // namespace metascale
