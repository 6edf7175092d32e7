#include "analysis/bands.hpp"

#include <algorithm>
#include <cmath>

namespace metascale {
namespace {

bool same_cell(const Run& a, const Run& b) {
  return a.arm == b.arm && a.size == b.size && a.length == b.length;
}

// Runs that differ by their seed only; the collection holds them one after the other.
std::vector<std::vector<const Run*>> seed_groups(const Report& report) {
  std::vector<std::vector<const Run*>> groups;
  for (const Run& run : report.collection.runs) {
    if (!run.is_compared() || run.is_probe() || run.trend.size() < 2) continue;
    if (groups.empty() || !same_cell(*groups.back().front(), run)) groups.emplace_back();
    groups.back().push_back(&run);
  }
  return groups;
}

// Linear between the smoothed curve's points; its ends beyond them.
CurvePoint at_step(const Run& run, std::int64_t step) {
  const auto after = std::lower_bound(
      run.trend.begin(), run.trend.end(), step,
      [](const CurvePoint& point, std::int64_t wanted) { return point.step < wanted; });
  if (after == run.trend.begin()) return run.trend.front();
  if (after == run.trend.end()) return run.trend.back();
  const CurvePoint& before = *(after - 1);
  const double share = double(step - before.step) / double(after->step - before.step);
  CurvePoint point = *after;
  point.loss = before.loss + share * (after->loss - before.loss);
  point.hours = before.hours + share * (after->hours - before.hours);
  return point;
}

SeedBand band_of(const std::vector<const Run*>& runs) {
  SeedBand band{runs[0]->arm, runs[0]->size, runs[0]->length, runs, {}, {}, {}};
  for (const CurvePoint& place : runs[0]->trend) {
    CurvePoint mean = place;
    mean.loss = mean.hours = 0;
    double low = INFINITY, high = -INFINITY;
    for (const Run* run : runs) {
      const CurvePoint point = at_step(*run, place.step);
      mean.loss += point.loss / double(runs.size());
      mean.hours += point.hours / double(runs.size());
      low = std::min(low, point.loss), high = std::max(high, point.loss);
    }
    band.mean.push_back(mean), band.low.push_back(low), band.high.push_back(high);
  }
  return band;
}

}  // namespace

std::vector<SeedBand> seed_bands(const Report& report) {
  std::vector<SeedBand> bands;
  for (const std::vector<const Run*>& runs : seed_groups(report)) {
    std::int64_t furthest = 0;
    for (const Run* run : runs) furthest = std::max(furthest, run->steps);
    std::vector<const Run*> together;
    for (const Run* run : runs) {
      if (run->steps < furthest)
        bands.push_back(band_of({run}));
      else
        together.push_back(run);
    }
    bands.push_back(band_of(together));
  }
  return bands;
}

}  // namespace metascale
