#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/gain.hpp"

using namespace metascale;

namespace {

// A law whose arm needs `factor` times less compute for the same loss.
Fit law_with(double factor, std::uint64_t seed) {
  std::vector<FitPoint> points;
  for (const double flops : {1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23})
    points.push_back({"", "", {flops}, 1.7 + 300 * std::pow(factor * flops, -0.15)});
  return fit_law(LawKind::power, points, {.draws = 300, .seed = seed, .influence = false});
}

}  // namespace

TEST_CASE("an arm that needs half the compute has a gain of two") {
  const Fit baseline = law_with(1, 1), arm = law_with(2, 2);
  const double at[] = {1e20};
  const EquivalentGain gain = equivalent_gain(baseline, arm, 1e20, arm.predict(at));
  CHECK(gain.gain == Approx(2).epsilon(1e-3));
  CHECK(gain.problem.empty());
  CHECK_FALSE(gain.interval.excludes(2));
  CHECK(gain.interval.excludes(4));
}

TEST_CASE("a gain outside the baseline's range is not to be quoted") {
  const Fit baseline = law_with(1, 1), arm = law_with(2, 2);
  const double at[] = {1e23};
  CHECK_THAT(equivalent_gain(baseline, arm, 1e23, arm.predict(at)).problem,
             Catch::Contains("outside its fitted range"));
}

TEST_CASE("a loss below the baseline's floor is never reached") {
  const Fit baseline = law_with(1, 1);
  const EquivalentGain gain = equivalent_gain(baseline, baseline, 1e20, 1.6);
  CHECK(std::isnan(gain.baseline_x));
  CHECK_THAT(gain.problem, Catch::Contains("never reaches"));
}
