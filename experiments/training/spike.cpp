#include "experiments/training/spike.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace metascale {

bool SpikeDetector::is_spike(double loss) {
  if (config_.action == OnSpike::ignore || std::int64_t(losses_.size()) < config_.window)
    return false;
  sorted_ = losses_;
  const auto middle = sorted_.begin() + std::ptrdiff_t(sorted_.size() / 2);
  std::nth_element(sorted_.begin(), middle, sorted_.end());
  return loss > config_.factor * *middle;
}

void SpikeDetector::add(double loss) {
  if (std::isfinite(loss) && !is_spike(loss)) add_accepted(loss);
}

void SpikeDetector::add_accepted(double loss) {
  if (config_.action == OnSpike::ignore) return;
  if (std::int64_t(losses_.size()) == config_.window) losses_.erase(losses_.begin());
  losses_.push_back(loss);
}

void SpikeDetector::restart(const std::vector<StepRow>& rows) {
  losses_.clear();
  for (const StepRow& row : rows) add(row.loss);
}

std::string SpikeDetector::memory() const {
  return {reinterpret_cast<const char*>(losses_.data()), losses_.size() * sizeof(double)};
}

void SpikeDetector::remember(const std::string& memory) {
  losses_.resize(memory.size() / sizeof(double));
  if (!losses_.empty()) std::memcpy(losses_.data(), memory.data(), losses_.size() * sizeof(double));
}

}  // namespace metascale
