// The seeds of one arm, size and length as one curve: mean and range of their smoothed curves.
#pragma once

#include <string>
#include <vector>

#include "analysis/report.hpp"

namespace metascale {

struct SeedBand {
  std::string arm, size, length;
  std::vector<const Run*> runs;   // those that came as far as the furthest; or one alone
  std::vector<CurvePoint> mean;   // at the steps of the first run's smoothed curve
  std::vector<double> low, high;  // one per point of mean
};

// In the order of the collection. A run that stopped earlier than the others is alone.
std::vector<SeedBand> seed_bands(const Report& report);

}  // namespace metascale
