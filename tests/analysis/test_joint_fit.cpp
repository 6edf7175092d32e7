#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/joint_fit.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"

using namespace metascale;

namespace {

struct ArmTruth {
  double a = 406.4, b = 410.7, e = 1.69, alpha = 0.34, beta = 0.28;
};

std::vector<FitPoint> points_of(const ArmTruth& truth, double noise, std::uint64_t seed) {
  CounterRandom random(seed, 0);
  std::vector<FitPoint> points;
  for (const double size : {1e7, 3e7, 1e8, 3e8, 1e9, 3e9})
    for (const double ratio : {5.0, 20.0, 80.0, 320.0})
      points.push_back({"run",
                        "",
                        {size, ratio * size},
                        (truth.e + truth.a * std::pow(size, -truth.alpha) +
                         truth.b * std::pow(ratio * size, -truth.beta)) *
                            std::exp(noise * random.normal())});
  return points;
}

const ArmTruth base, better{.a = 0.8 * 406.4, .b = 0.9 * 410.7};
constexpr int few_starts = 300;

}  // namespace

TEST_CASE("two exact arms under one law give its shared and their own coefficients") {
  const JointFit fit = fit_jointly(points_of(base, 0, 1), points_of(better, 0, 2),
                                   {.draws = 0, .starts = few_starts});
  const double truth[] = {406.4, 410.7, 0.8 * 406.4, 0.9 * 410.7, 1.69, 0.34, 0.28};
  for (std::size_t i = 0; i < 7; ++i) CHECK(fit.coefficients[i] == Approx(truth[i]).epsilon(2e-3));
  CHECK(fit.ratio_a == Approx(0.8).epsilon(1e-3));
  CHECK(fit.ratio_b == Approx(0.9).epsilon(1e-3));
  CHECK(fit.points == 48);
  CHECK(fit.healthy());
}

TEST_CASE("arms that share a law are not told apart, and their ratios are known better together") {
  const FitOptions options{
      .draws = 60, .seed_deviation = 0.002, .influence = false, .starts = few_starts};
  const auto first = points_of(base, 0.002, 3), second = points_of(better, 0.002, 4);
  const JointFit joint = fit_jointly(first, second, options);
  CHECK(joint.p_value > 0.05);
  CHECK(joint.healthy());
  CHECK_FALSE(joint.interval_a.excludes(0.8));
  CHECK_FALSE(joint.interval_b.excludes(0.9));
  CHECK(joint.separate_objective <= joint.objective);
  // The logarithm of A of one arm alone spreads more than that of the ratio does together.
  const Fit alone = fit_law(LawKind::chinchilla, first, options);
  const double width_alone = std::log(alone.intervals[0].high / alone.intervals[0].low);
  CHECK(std::log(joint.interval_a.high / joint.interval_a.low) < width_alone);
}

TEST_CASE("arms of unlike exponents are told apart") {
  ArmTruth steep = base;
  steep.alpha = 0.4, steep.a = 1300;
  const JointFit fit = fit_jointly(points_of(base, 0.002, 5), points_of(steep, 0.002, 6),
                                   {.draws = 60, .seed_deviation = 0.002, .starts = few_starts});
  CHECK(fit.p_value < 0.05);
  CHECK_FALSE(fit.healthy());
  CHECK_THAT(fit.problems.back(), Catch::Contains("do not share one law"));
}

TEST_CASE("a joint fit does not depend on the number of threads") {
  const auto first = points_of(base, 0.003, 7), second = points_of(better, 0.003, 8);
  const auto fit = [&](int threads) {
    return fit_jointly(first, second, {.draws = 20, .threads = threads, .starts = 100});
  };
  const JointFit one = fit(1), two = fit(2);
  CHECK(one.coefficients == two.coefficients);
  CHECK(one.interval_a.low == two.interval_a.low);
  CHECK(one.p_value == two.p_value);
}

TEST_CASE("an arm with too few runs is refused") {
  auto few = points_of(base, 0, 9);
  few.resize(4);
  CHECK_THROWS_AS(fit_jointly(points_of(base, 0, 9), few, {.draws = 0}), Error);
}

TEST_CASE("a joint fit predicts both arms, with intervals, and tells of each of its draws") {
  int told = 0, last = 0;
  const FitOptions options{
      .draws = 20, .threads = 2, .starts = 100, .progress = [&](int done, int of) {
        CHECK(done == ++told);
        last = of;
      }};
  const JointFit fit = fit_jointly(points_of(base, 0.003, 7), points_of(better, 0.003, 8), options);
  CHECK(told == 40);  // intervals, and tables for the p-value
  CHECK(last == 40);
  for (const Prediction& ahead : fit.ahead) {
    CHECK(ahead.x == std::vector<double>{6e9, 2 * 320 * 3e9});
    CHECK((ahead.interval.low < ahead.value && ahead.value < ahead.interval.high));
  }
  CHECK(fit.ahead[1].value < fit.ahead[0].value);
  CHECK(std::count(fit.problems.begin(), fit.problems.end(),
                   "interval unreliable: 20 draws, fewer than 40") == 1);
}
