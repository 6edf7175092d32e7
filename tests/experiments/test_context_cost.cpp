// Exponents, crossovers, and what a small model costs.
#include <catch2/catch.hpp>
#include <cmath>

#include "experiments/context_cost.hpp"
#include "tests/support/sanitizer.hpp"

namespace metascale {
namespace {

// Seconds c x^exponent, each times its factor; the median is sure to this portion of it.
CostCurve curve_of(double c, double exponent, const std::vector<double>& factors,
                   double spread = 0) {
  CostCurve curve;
  std::int64_t tokens = 256;
  for (const double factor : factors) {
    const double seconds = factor * c * std::pow(double(tokens), exponent);
    curve.points.push_back({.size = tokens,
                            .seconds = seconds,
                            .seconds_low = (1 - spread) * seconds,
                            .seconds_high = (1 + spread) * seconds});
    tokens *= 2;
  }
  return curve;
}

const ModelConfig tiny{.architecture = Architecture::rwkv7,
                       .layers = 2,
                       .width = 16,
                       .vocabulary = 20,
                       .head_size = 8,
                       .feed_forward = 24};
const ContextCostOptions few{.least = 16, .most = 64, .seconds = 600, .repeats = 1};

}  // namespace

TEST_CASE("the exponent of a power law is found exactly, with no interval around it") {
  const double exponent = GENERATE(0.0, 1.0, 1.5);
  const auto fit = fit_exponent(curve_of(3e-6, exponent, {1, 1, 1, 1, 1}), &CostPoint::seconds);
  REQUIRE(fit);
  CHECK(fit->value == Approx(exponent).margin(1e-9));
  CHECK(fit->high - fit->low < 1e-6);
  CHECK(fit->points == 5);
}

TEST_CASE("noise widens the exponent's interval, which then holds the truth") {
  const auto fit = fit_exponent(curve_of(1, 1, {1.1, 0.9, 1.05, 0.95, 1.02}), &CostPoint::seconds);
  REQUIRE(fit);
  CHECK(fit->low < 1);
  CHECK(fit->high > 1);
  CHECK(fit->high - fit->low > 0.01);
}

TEST_CASE("the exponent's interval is that of a line fitted by hand") {
  // ln y = 0, 1, 1 at ln x = 0, 1, 2 (in units of ln 2): slope 1/2, residuals -1/6, 1/3, -1/6.
  const auto fit = fit_exponent(curve_of(1, 0, {1, 2, 2}), &CostPoint::seconds);
  REQUIRE(fit);
  CHECK(fit->value == Approx(0.5));
  const double error = std::sqrt((1.0 / 36 + 1.0 / 9 + 1.0 / 36) / 1 / 2);
  CHECK(fit->high - fit->value == Approx(12.706 * error));
  CHECK_FALSE(fit_exponent(curve_of(1, 0, {1, 2}), &CostPoint::seconds));
}

TEST_CASE("a crossover lies where the lines between the measured lengths meet") {
  const CostCurve rising = curve_of(1, 1, {1, 1, 1, 1}), flat = curve_of(724.0773, 0, {1, 1, 1, 1});
  const auto found = crossover(rising, flat, &CostPoint::seconds);
  REQUIRE(found);
  CHECK(found->tokens == Approx(724.0773));
  CHECK(found->low == 512);
  CHECK(found->high == 1024);
  CHECK_FALSE(found->from_the_start);
  CHECK_FALSE(crossover(flat, rising, &CostPoint::seconds));  // it does not stay below
  CHECK(crossover(rising, curve_of(0.5, 1, {1, 1, 1}), &CostPoint::seconds)->from_the_start);
}

TEST_CASE("flat curves that overlap have no crossover, whichever median lies below") {
  const CostCurve one = curve_of(1, 0, {1, 1, 1, 1}, 0.1);
  const CostCurve other = curve_of(1, 0, {1.01, 1.02, 0.98, 0.99}, 0.1);
  CHECK_FALSE(crossover(one, other, &CostPoint::seconds));
  CHECK_FALSE(crossover(other, one, &CostPoint::seconds));
}

TEST_CASE("a crossover is as wide as the lengths at which the repeats leave no doubt") {
  // 256 .. 4096 against 724: at 512 and 1024 the spreads of 50 % overlap.
  const CostCurve rising = curve_of(1, 1, {1, 1, 1, 1, 1}, 0.5);
  const CostCurve flat = curve_of(900, 0, {1, 1, 1, 1, 1});
  const auto found = crossover(rising, flat, &CostPoint::seconds);
  REQUIRE(found);
  CHECK(found->tokens == Approx(900));
  CHECK(found->low == 512);
  CHECK(found->high == 2048);
  // Dearer, then overlapping up to the last length: it may never become cheaper.
  CHECK_FALSE(crossover(curve_of(1, 1, {1, 1, 1}, 0.5), flat, &CostPoint::seconds));
}

TEST_CASE(
    "what is never dearer beyond its spread is cheaper at or before the length that shows it") {
  // 256 .. 4096, half of it either way: at 256 alone its spread holds 200.
  const CostCurve rising = curve_of(1, 1, {1, 1, 1, 1, 1}, 0.5);
  const CostCurve flat = curve_of(200, 0, {1, 1, 1, 1, 1});
  const auto found = crossover(rising, flat, &CostPoint::seconds);
  REQUIRE(found);
  CHECK(found->at_or_before);
  CHECK_FALSE(found->from_the_start);
  CHECK(found->tokens == 512);
  CHECK(found->low == 256);
  CHECK(found->high == 512);
  CHECK_FALSE(crossover(flat, rising, &CostPoint::seconds));
}

TEST_CASE("bytes that were computed need no spread to cross") {
  CostCurve rising = curve_of(1, 1, {1, 1, 1}), flat = rising;
  for (CostPoint& point : rising.points) point.planned_bytes = double(point.size);
  for (CostPoint& point : flat.points) point.planned_bytes = 600;
  const auto found = crossover(rising, flat, &CostPoint::planned_bytes);
  REQUIRE(found);
  CHECK(found->tokens == Approx(600));
}

TEST_CASE("the median of repeats lies between order statistics that leave it out in 5 % at most") {
  std::vector<double> values;
  for (int i = 24; i >= 1; --i) values.push_back(i);
  CHECK(spread_of_median(values).low == 7);  // 24 coins: 6 heads or fewer in 1.1 %, 7 in 3.2 %
  CHECK(spread_of_median(values).high == 18);
  CHECK(spread_of_median({3, 1, 2}).low == 1);  // three cannot be so sure: all of them
  CHECK(spread_of_median({3, 1, 2}).high == 3);
  CHECK(spread_of_median({5}).high == 5);
}

TEST_CASE(
    "a recurrent model carries the same bytes at every position, a Transformer its keys and "
    "values") {
  const CostCurve recurrent = generation_cost(tiny, few);
  ModelConfig transformer = tiny;
  transformer.architecture = Architecture::transformer;
  const CostCurve attending = generation_cost(transformer, few);
  REQUIRE(recurrent.points.size() == 3);
  REQUIRE(attending.points.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    // Per layer: the states of 2 heads of 8 x 8, and two last tokens of 16 channels.
    CHECK(recurrent.points[i].planned_bytes == 2 * (2 * 8 * 8 + 2 * 16) * 4);
    CHECK(attending.points[i].planned_bytes == double(2 * 2 * 16 * 4 * attending.points[i].size));
    CHECK(recurrent.points[i].seconds > 0);
    CHECK(recurrent.points[i].seconds_low <= recurrent.points[i].seconds);
    CHECK(recurrent.points[i].seconds_high >= recurrent.points[i].seconds);
  }
}

TEST_CASE("generation's process holds what it carries, and a recurrent one's does not grow") {
  ModelConfig model = tiny;
  model.width = 64;
  const ContextCostOptions options{.least = 512, .most = 2048, .seconds = 600, .repeats = 1};
  const CostCurve recurrent = generation_cost(model, options);
  model.architecture = Architecture::transformer;
  const CostCurve attending = generation_cost(model, options);
  REQUIRE(recurrent.points.size() == 3);
  REQUIRE(attending.points.size() == 3);
  if (testing::is_sanitized) return;  // whose own memory counts
  for (const CostPoint& point : attending.points)
    CHECK(point.resident_bytes >= point.planned_bytes);  // 2 MB at the last
  CHECK(recurrent.points.back().resident_bytes < recurrent.points.front().resident_bytes + 3e5);
}

TEST_CASE("a curve that its budget cuts says from where on it was not measured") {
  ContextCostOptions hasty = few;
  hasty.seconds = 1e-9;
  const CostCurve curve = training_cost(tiny, hasty);
  CHECK(curve.points.size() == 2);
  CHECK(curve.left_out == 64);
  for (const CostPoint& point : curve.points) {
    CHECK(point.seconds > 0);
    CHECK(point.planned_bytes > 0);
  }
  CHECK(training_cost(tiny, few).left_out == 0);
}

}  // namespace metascale
