#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/isoflop.hpp"

using namespace metascale;

namespace {

// Loss with its minimum over N at 0.1 C^0.5, curvature 0.1 per (ln N) squared.
std::vector<IsoflopPoint> valleys(double sign) {
  std::vector<IsoflopPoint> points;
  for (const double flops : {1e17, 1e18, 1e19, 1e20, 1e21})
    for (const double factor : {0.25, 0.5, 0.9, 2.0, 4.0}) {
      const double distance = std::log(factor);
      points.push_back(
          {flops, factor * 0.1 * std::sqrt(flops), 3 + sign * 0.1 * distance * distance});
    }
  return points;
}

}  // namespace

TEST_CASE("the exponent of exact valleys is found again") {
  const IsoflopFit fit = fit_isoflop(valleys(1), {.fit = {.draws = 100}});
  CHECK(fit.exponent == Approx(0.5));
  CHECK(fit.token_exponent == Approx(0.5));
  CHECK(fit.coefficient == Approx(0.1));
  CHECK(fit.healthy());
  CHECK(fit.budgets[0].curvature == Approx(0.1));
}

TEST_CASE("a parabola that opens downward is refused") {
  const IsoflopFit fit = fit_isoflop(valleys(-1), {.fit = {.draws = 0}});
  CHECK_FALSE(fit.healthy());
  CHECK_THAT(fit.problems.front(), Catch::Contains("opens downward"));
  CHECK(std::isnan(fit.exponent));
}

TEST_CASE("a minimum at the edge of the profile is refused") {
  std::vector<IsoflopPoint> points;
  for (const double size : {1e6, 2e6, 4e6, 8e6}) {
    const double distance = std::log(size / 32e6);
    points.push_back({1e18, size, 3 + 0.1 * distance * distance});
  }
  const IsoflopFit fit = fit_isoflop(points, {.fit = {.draws = 0}});
  CHECK_THAT(fit.budgets[0].problem, Catch::Contains("one side only"));
}
