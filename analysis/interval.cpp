#include "analysis/interval.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace metascale {
namespace {

// Sorts, without what is no number; empty if that leaves less than half. Infinite draws stay: they
// are values beyond all others, and an interval without them would be too narrow.
void keep_numbers_sorted(std::vector<double>& draws) {
  const std::size_t before = draws.size();
  std::erase_if(draws, [](double draw) { return std::isnan(draw); });
  if (2 * draws.size() < before) draws.clear();
  std::sort(draws.begin(), draws.end());
}

double acceleration(std::span<const double> leave_one_out) {
  double mean = 0;
  for (const double value : leave_one_out) mean += value / double(leave_one_out.size());
  double squares = 0, cubes = 0;
  for (const double value : leave_one_out) {
    const double distance = mean - value;
    squares += distance * distance;
    cubes += distance * distance * distance;
  }
  return squares > 0 ? cubes / (6 * std::pow(squares, 1.5)) : 0;
}

}  // namespace

double quantile(std::span<const double> sorted, double fraction) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double place = std::clamp(fraction, 0.0, 1.0) * double(sorted.size() - 1);
  const std::size_t below = std::size_t(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double low = sorted[below], high = sorted[above], part = place - double(below);
  if (std::isinf(low) || std::isinf(high)) return part > 0 && !std::isinf(low) ? high : low;
  return low + part * (high - low);
}

Interval percentile_interval(std::vector<double> draws, double confidence) {
  keep_numbers_sorted(draws);
  return {quantile(draws, (1 - confidence) / 2), quantile(draws, (1 + confidence) / 2)};
}

Interval bca_interval(std::vector<double> draws, double estimate,
                      std::span<const double> leave_one_out, double confidence) {
  keep_numbers_sorted(draws);
  if (draws.empty()) return {};
  const auto [first, last] = std::equal_range(draws.begin(), draws.end(), estimate);
  // Ties count half: draws of a statistic that never moves are then unbiased.
  const double below =
      0.5 * double((first - draws.begin()) + (last - draws.begin())) / double(draws.size());
  if (below <= 0 ||
      below >= 1)  // the estimate lies outside its own bootstrap: no correction exists
    return {quantile(draws, (1 - confidence) / 2), quantile(draws, (1 + confidence) / 2)};
  const double bias = normal_quantile(below), rate = acceleration(leave_one_out);
  const auto corrected = [&](double probability) {
    const double shifted = bias + normal_quantile(probability);
    return quantile(draws, normal_distribution(bias + shifted / (1 - rate * shifted)));
  };
  return {corrected((1 - confidence) / 2), corrected((1 + confidence) / 2)};
}

double normal_distribution(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double normal_quantile(double probability) {
  if (probability <= 0) return -std::numeric_limits<double>::infinity();
  if (probability >= 1) return std::numeric_limits<double>::infinity();
  // Newton's method on Phi from the logistic approximation: convex towards the root on each side of
  // the median, so that it converges from there.
  double x = std::log(probability / (1 - probability)) / 1.702;
  for (int iteration = 0; iteration < 60; ++iteration) {
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
    const double step = (normal_distribution(x) - probability) / density;
    x -= std::clamp(step, -1.0, 1.0);
    if (std::abs(step) < 1e-14 * (1 + std::abs(x))) break;
  }
  return x;
}

}  // namespace metascale
