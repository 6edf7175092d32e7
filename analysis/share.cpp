#include "analysis/share.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "analysis/support/random.hpp"

namespace metascale {
namespace {

constexpr int interval_draws = 20000;

// One of none or all of its examples is not free of noise: two more are added, one right and one
// wrong [Agresti, Coull 1998].
double with_two_more(const SeedShare& seed) {
  return (seed.value * double(seed.examples) + 1) / (double(seed.examples) + 2);
}
double variance_of(const SeedShare& seed) {
  const double middle = with_two_more(seed);
  return middle * (1 - middle) / (double(seed.examples) + 2);
}

void widen_to(double value, Interval& interval) {
  interval.low = std::min(interval.low, value), interval.high = std::max(interval.high, value);
}

}  // namespace

// Drawn once for all shares with as many seeds.
const std::vector<ShareIntervals::Draw>& ShareIntervals::draws_of(std::int64_t degrees) {
  std::vector<Draw>& draws = draws_[degrees];
  if (!draws.empty()) return draws;
  CounterRandom random(1, 2);
  draws.resize(interval_draws);
  for (Draw& draw : draws) {
    draw.student = random.student_t(degrees);
    draw.normal = random.normal();
  }
  return draws;
}

// How far from 0 the sum of both errors lies, at most, in that share of all cases.
double ShareIntervals::half_width(std::int64_t degrees, double seed_error, double example_error,
                                  double confidence) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] =
      half_widths_.try_emplace({degrees, seed_error, example_error, confidence}, 0.0);
  if (!is_new) return entry->second;
  std::vector<double> sizes;
  sizes.reserve(interval_draws);
  for (const Draw& draw : draws_of(degrees))
    sizes.push_back(std::abs(seed_error * draw.student + example_error * draw.normal));
  const auto at = sizes.begin() + std::ptrdiff_t(confidence * (interval_draws - 1));
  std::nth_element(sizes.begin(), at, sizes.end());
  return entry->second = *at;
}

// values: in (-1, 1), one per seed; variance: of the angle of one, from the examples. On the angle
// asin(v) the noise of a share is the same everywhere, and the ends of the scale are +-pi/2.
Interval ShareIntervals::interval_by_angle(const std::vector<double>& values, double variance,
                                           double confidence) {
  const double count = double(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += std::asin(value) / count;
  for (const double value : values) squares += std::pow(std::asin(value) - mean, 2);
  const double half =
      half_width(std::int64_t(values.size()) - 1, std::sqrt(squares / (count - 1) / count),
                 std::sqrt(variance), confidence);
  constexpr double end = std::numbers::pi / 2;
  return {std::sin(std::max(mean - half, -end)), std::sin(std::min(mean + half, end))};
}

Share ShareIntervals::of(std::span<const SeedShare> seeds, double confidence) {
  Share share;
  std::vector<double> values;
  double variance = 0;
  for (const SeedShare& seed : seeds) {
    share.value += seed.value / double(seeds.size());
    values.push_back(2 * with_two_more(seed) - 1);
    variance = std::max(variance, 1 / (double(seed.examples) + 2));
  }
  if (seeds.size() < 2) return share;
  const Interval around = interval_by_angle(values, variance, confidence);
  share.interval = {(1 + around.low) / 2, (1 + around.high) / 2};
  widen_to(share.value, share.interval);
  return share;
}

Share ShareIntervals::difference(std::span<const SeedShare> own, std::span<const SeedShare> others,
                                 double confidence) {
  Share share;
  std::vector<double> values;
  double variance = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    share.value += (own[i].value - others[i].value) / double(own.size());
    const double value = with_two_more(own[i]) - with_two_more(others[i]);
    values.push_back(value);
    variance = std::max(variance,  // d asin(v) = dv / sqrt(1 - v^2)
                        (variance_of(own[i]) + variance_of(others[i])) / (1 - value * value));
  }
  if (own.size() < 2) return share;
  share.interval = interval_by_angle(values, variance, confidence);
  widen_to(share.value, share.interval);
  return share;
}

}  // namespace metascale
