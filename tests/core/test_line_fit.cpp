#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "core/line_fit.hpp"

namespace metascale {
namespace {

TEST_CASE("a line's slope and interval are those computed by hand") {
  const std::vector<double> x{0, 1, 2}, y{0, 1, 1};  // residuals -1/6, 1/3, -1/6
  const auto line = fit_line(x, y);
  REQUIRE(line);
  CHECK(line->slope == Approx(0.5));
  CHECK(line->half == Approx(12.706 * std::sqrt((1.0 / 36 + 1.0 / 9 + 1.0 / 36) / 2)));
}

TEST_CASE("points that no line with an interval goes through are told so") {
  const std::vector<double> two{1, 2}, same{3, 3, 3}, y{1, 2, 3};
  CHECK_FALSE(fit_line(two, two));
  CHECK_FALSE(fit_line(same, y));
}

TEST_CASE("a line's interval holds the true slope in 95 of 100 cases") {
  std::mt19937 random(5);
  std::normal_distribution<double> noise;
  constexpr int times = 4000;
  for (const int points : {3, 5, 12}) {
    int held = 0;
    for (int time = 0; time < times; ++time) {
      std::vector<double> x, y;
      for (int i = 0; i < points; ++i) {
        x.push_back(i);
        y.push_back(2.0 * i + noise(random));
      }
      const auto line = fit_line(x, y);
      held += std::abs(line->slope - 2) <= line->half;
    }
    INFO(points);
    CHECK(held / double(times) == Approx(0.95).margin(0.012));  // 3.5 standard errors
  }
}

}  // namespace
}  // namespace metascale
