#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/fit.hpp"

using namespace metascale;

namespace {

std::vector<FitPoint> points_at(const std::vector<double>& sizes) {
  std::vector<FitPoint> points;
  for (const double size : sizes)
    points.push_back({"size " + std::to_string(std::int64_t(size)),
                      "",
                      {size},
                      1.7 + 60 * std::pow(size, -0.28)});
  return points;
}

bool names(const Fit& fit, const std::string& words) {
  for (const std::string& problem : fit.problems)
    if (problem.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("eight cells over three decades of an exact law are healthy") {
  const Fit fit =
      fit_law(LawKind::power, points_at({1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9}), {.draws = 200});
  INFO((fit.problems.empty() ? "" : fit.problems.front()));
  CHECK(fit.healthy());
}

TEST_CASE("three points are too few") {
  const Fit fit = fit_law(LawKind::power, points_at({1e6, 1e8, 1e10}), {.draws = 50});
  CHECK(names(fit, "too few points: 3"));
  CHECK(names(fit, "interval unreliable: 3 cells"));
}

TEST_CASE("seeds of two sizes are too few points for a line") {
  std::vector<FitPoint> points;
  for (const double size : {1e6, 1e8})
    for (const double noise : {-0.002, 0.0, 0.002})
      points.push_back({"", std::to_string(size), {size}, 3 * std::pow(size, -0.05) * (1 + noise)});
  CHECK(names(fit_law(LawKind::loglog, points, {.draws = 50}), "too few points: 2, seeds apart"));
}

TEST_CASE("one decade is too little") {
  const Fit fit =
      fit_law(LawKind::power, points_at({1e6, 2e6, 3e6, 5e6, 7e6, 8e6, 9e6, 1e7}), {.draws = 0});
  CHECK(names(fit, "spans 1.00 decades only"));
}

TEST_CASE("one outlier that decides an exponent is named") {
  auto points = points_at({1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9});
  points.back().loss *= 1.15;
  const Fit fit =
      fit_law(LawKind::power, points, {.objective = Objective::squared_log, .draws = 300});
  CHECK(names(fit, "without size 3000000000"));
}

TEST_CASE("losses that do not fall with size put a coefficient on its bound") {
  std::vector<FitPoint> points;
  for (const double size : {1e6, 1e7, 1e8, 1e9, 1e10})
    points.push_back({"", "", {size}, 2 + 0.1 * std::log10(size)});
  CHECK(names(fit_law(LawKind::power, points, {.draws = 0}), "sits on a bound"));
}

TEST_CASE("a flat objective is not called an agreement") {
  // All points are alike: neither exponent nor coefficients can be told.
  std::vector<FitPoint> points;
  for (int i = 0; i < 8; ++i) points.push_back({"", "", {1e8, 2e9}, 2.5});
  CHECK_FALSE(fit_law(LawKind::chinchilla, points, {.draws = 0, .influence = false}).healthy());
}

TEST_CASE("a prediction far beyond the fitted sizes is named") {
  auto points = points_at({1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 1e10});
  points.back().held_out = true;
  CHECK(names(fit_law(LawKind::power, points, {.draws = 0}), "10.0 times the largest fitted"));
}

TEST_CASE("residuals far beyond the noise of single runs are named") {
  std::vector<FitPoint> points;
  for (const double size : {1e6, 1e7, 1e8, 1e9})  // straight lines bend where there is an offset
    for (const double noise : {-0.001, 0.001})
      points.push_back(
          {"", std::to_string(size), {size}, (1.7 + 60 * std::pow(size, -0.28)) * (1 + noise)});
  CHECK(names(fit_law(LawKind::loglog, points, {.objective = Objective::squared_log, .draws = 50}),
              "does not describe the points"));
}

TEST_CASE("an optimum that equals its start is named, however good it looks") {
  // Exactly the law of one start of the grid: a = b = 10, e = 0.5, alpha = beta = 0.5.
  std::vector<FitPoint> points;
  const double start[] = {10, 10, 0.5, 0.5, 0.5};
  for (const double size : {1e6, 1e7, 1e8})
    for (const double ratio : {5.0, 20.0, 80.0})
      points.push_back({"", "", {size, ratio * size}, 1});
  for (FitPoint& point : points) point.loss = law(LawKind::chinchilla).loss(start, point.x);
  const Fit fit = fit_law(LawKind::chinchilla, points, {.draws = 0, .influence = false});
  CHECK(fit.worst_residual < 1e-9);
  CHECK(names(fit, "equals its start"));
}

TEST_CASE("without a bootstrap cells are counted and residuals held against the noise too") {
  std::vector<FitPoint> points;
  for (const double size : {1e6, 1e7, 1e8, 1e9})  // a line does not bend as these do
    for (const double noise : {-0.001, 0.001})
      points.push_back(
          {"", std::to_string(size), {size}, (1.7 + 60 * std::pow(size, -0.28)) * (1 + noise)});
  const Fit fit =
      fit_law(LawKind::loglog, points, {.objective = Objective::squared_log, .draws = 0});
  CHECK(names(fit, "does not describe the points"));
  CHECK(names(fit, "4 cells of (size, length)"));
}

TEST_CASE("intervals of a few draws are said to be unreliable") {
  const auto points = points_at({1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9});
  CHECK(names(fit_law(LawKind::power, points, {.draws = 2}), "interval unreliable: 2 draws"));
}
