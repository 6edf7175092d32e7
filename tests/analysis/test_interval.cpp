#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "analysis/interval.hpp"
#include "analysis/support/random.hpp"

using namespace metascale;

TEST_CASE("the normal quantile inverts the normal distribution") {
  const double probability = GENERATE(1e-6, 0.025, 0.5, 0.8, 0.975, 1 - 1e-6);
  CHECK(normal_distribution(normal_quantile(probability)) == Approx(probability).epsilon(1e-10));
}

TEST_CASE("the normal quantile of 0.975 is 1.959964") {
  CHECK(normal_quantile(0.975) == Approx(1.959963984540054).margin(1e-12));
}

TEST_CASE("quantiles lie linearly between sorted values") {
  const double values[] = {1, 2, 4};
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 0.25) == 1.5);
  CHECK(quantile(values, 1) == 4);
}

TEST_CASE("an interval of draws that are mostly not finite is unknown") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(percentile_interval({1, nan, nan}, 0.95).known());
  CHECK(percentile_interval({1, 2, nan}, 0.95).known());
}

TEST_CASE("BCa of symmetric draws is the percentile interval") {
  std::vector<double> draws, leave_one_out;
  for (int i = -500; i <= 500; ++i) draws.push_back(i);
  for (int i = -5; i <= 5; ++i) leave_one_out.push_back(i);
  const Interval plain = percentile_interval(draws, 0.9),
                 bca = bca_interval(draws, 0, leave_one_out, 0.9);
  CHECK(bca.low == Approx(plain.low).margin(1e-6));
  CHECK(bca.high == Approx(plain.high).margin(1e-6));
}

TEST_CASE("BCa moves towards the side on which the estimate is biased") {
  CounterRandom random(1, 1);
  std::vector<double> draws(4000);
  for (double& draw : draws)
    draw = random.normal() + 0.5;  // the estimate 0 lies below their median
  const Interval plain = percentile_interval(draws, 0.95), bca = bca_interval(draws, 0, {}, 0.95);
  CHECK(bca.low < plain.low);
  CHECK(bca.high < plain.high);
}

TEST_CASE("counter random numbers have the moments of their distributions") {
  CounterRandom random(7, 3);
  double sum = 0, squares = 0, uniform = 0, heavy = 0;
  constexpr int count = 40000;
  for (int i = 0; i < count; ++i) {
    const double normal = random.normal(), t = random.student_t(8);
    sum += normal, squares += normal * normal, uniform += random.uniform(), heavy += t * t;
  }
  CHECK(sum / count == Approx(0).margin(0.02));
  CHECK(squares / count == Approx(1).margin(0.03));
  CHECK(uniform / count == Approx(0.5).margin(0.01));
  CHECK(heavy / count == Approx(8.0 / 6).margin(0.08));  // variance of t is d / (d - 2)
}

TEST_CASE("infinite draws are values beyond all others, not missing ones") {
  const double infinite = std::numeric_limits<double>::infinity();
  std::vector<double> draws;
  for (int i = 0; i < 100; ++i) draws.push_back(i < 90 ? i : infinite);
  const Interval wide = percentile_interval(draws, 0.9);
  CHECK(wide.low == Approx(4.95));
  CHECK(wide.high == infinite);
  CHECK(wide.known());
  CHECK_FALSE(wide.excludes(1e300));
  CHECK(percentile_interval(draws, 0.7).high == Approx(84.15));  // they lie beyond this end
  for (double& draw : draws) draw = -draw;
  CHECK(percentile_interval(draws, 0.9).low == -infinite);
}
