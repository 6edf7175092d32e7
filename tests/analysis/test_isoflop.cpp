#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "analysis/isoflop.hpp"

using namespace metascale;

namespace {

// Loss with its minimum over N at 0.1 C^0.5, curvature 0.1 per (ln N) squared. Each size has
// `seeds` runs, apart by relative noise of that deviation.
std::vector<IsoflopPoint> valleys(double sign, int seeds = 1, double deviation = 0,
                                  std::uint64_t noise = 1) {
  std::mt19937_64 random(noise);
  std::normal_distribution<double> normal;
  std::vector<IsoflopPoint> points;
  for (const double flops : {1e17, 1e18, 1e19, 1e20, 1e21})
    for (const double factor : {0.25, 0.5, 0.9, 2.0, 4.0})
      for (int seed = 0; seed < seeds; ++seed) {
        const double distance = std::log(factor);
        points.push_back(
            {flops, factor * 0.1 * std::sqrt(flops),
             (3 + sign * 0.1 * distance * distance) * (1 + deviation * normal(random))});
      }
  return points;
}

bool has_problem(const IsoflopFit& fit, const std::string& words) {
  for (const std::string& problem : fit.problems)
    if (problem.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

TEST_CASE("the exponent of exact valleys is found again") {
  const IsoflopFit fit = fit_isoflop(valleys(1), {.fit = {.draws = 100}});
  CHECK(fit.exponent == Approx(0.5));
  CHECK(fit.token_exponent == Approx(0.5));
  CHECK(fit.coefficient == Approx(0.1));
  CHECK(fit.healthy());
  CHECK(fit.budgets[0].curvature == Approx(0.1));
  CHECK(fit.budgets[0].loss_at(0.4 * std::sqrt(1e17)) ==
        Approx(3 + 0.1 * std::pow(std::log(4.0), 2)));
  CHECK(fit.predict(1e22) == Approx(1e10));
  const Interval ahead = fit.predict_interval(1e22);
  CHECK((ahead.low < 1e10 && 1e10 < ahead.high));
  CHECK(fit.budgets[2].interval.known());
}

TEST_CASE("seeds of one size are one point of its parabola") {
  const IsoflopFit one = fit_isoflop(valleys(1), {.fit = {.draws = 0}});
  std::vector<IsoflopPoint> points;
  for (const IsoflopPoint& point : valleys(1))
    for (const double factor : {0.998, 1.002})
      points.push_back({point.flops, point.parameters, factor * point.loss});
  const IsoflopFit two = fit_isoflop(points, {.fit = {.draws = 0}});
  CHECK(two.healthy());
  CHECK(two.budgets[0].sizes == 5);
  CHECK(two.exponent == Approx(one.exponent));
  CHECK(two.budgets[0].parameters == Approx(one.budgets[0].parameters));
}

TEST_CASE("intervals follow the seeds' own noise where there are seeds, else the known one") {
  const auto width = [](const std::vector<IsoflopPoint>& points) {
    const Interval interval = fit_isoflop(points, {.fit = {.draws = 400}}).interval;
    return interval.high - interval.low;
  };
  const double known = width(valleys(1)), quiet = width(valleys(1, 4, 0.0007));
  CHECK(quiet == Approx(known / 10).epsilon(0.2));  // a fifth of the noise, means of four
}

TEST_CASE("nineteen of twenty intervals hold the true exponent") {
  constexpr int tables = 120;
  int holding = 0;
  for (int table = 0; table < tables; ++table) {
    const Interval interval =
        fit_isoflop(valleys(1, 1, 0.0035, std::uint64_t(table) + 1),
                    {.fit = {.draws = 120, .seed = std::uint64_t(table) + 1000}})
            .interval;
    holding += interval.low <= 0.5 && 0.5 <= interval.high ? 1 : 0;
  }
  CHECK(holding >= int(0.90 * tables));
  CHECK(holding <= int(0.99 * tables));
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

TEST_CASE("two sizes are no parabola, however many seeds they have") {
  const IsoflopFit fit = fit_isoflop(
      std::vector<IsoflopPoint>{{1e18, 1e6, 3}, {1e18, 1e6, 3.1}, {1e18, 2e6, 2.9}, {1e18, 2e6, 3}},
      {.fit = {.draws = 10}});
  CHECK(fit.budgets[0].problem == "fewer than three sizes: 2");
  CHECK_FALSE(fit.budgets[0].interval.known());
}

TEST_CASE("intervals of a few isoFLOP draws are said to be unreliable") {
  CHECK(has_problem(fit_isoflop(valleys(1), {.fit = {.draws = 2}}),
                    "interval unreliable: 2 draws, fewer than 40"));
}

TEST_CASE("budgets within a decade and a half are too few decades") {
  std::vector<IsoflopPoint> points = valleys(1);
  for (IsoflopPoint& point : points)  // 1e17 to 1e18
    point.parameters /= std::sqrt(point.flops),
        point.flops = 1e17 * std::pow(point.flops / 1e17, 0.25),
        point.parameters *= std::sqrt(point.flops);
  const IsoflopFit fit = fit_isoflop(points, {.fit = {.draws = 0}});
  CHECK(fit.exponent == Approx(0.5));
  CHECK(has_problem(fit, "C spans 1.00 decades only"));
}

TEST_CASE("a budget that alone decides the exponent is named") {
  std::vector<IsoflopPoint> points = valleys(1);
  for (IsoflopPoint& point : points)
    if (point.flops == 1e21) point.parameters *= 8;
  const IsoflopFit fit = fit_isoflop(points, {.fit = {.draws = 200}});
  CHECK(has_problem(fit, "one budget decides: without C = 1e+21 the exponent is 0.5 instead of"));
}

TEST_CASE("isoFLOP draws do not depend on the number of threads, and each is told") {
  const std::vector<IsoflopPoint> points = valleys(1, 2, 0.0035);
  const auto fit = [&](int threads, int& told) {
    const auto progress = [&told](int done, int of) {
      CHECK(done == ++told);
      CHECK(of == 100);
    };
    return fit_isoflop(points, {.fit = {.draws = 100, .threads = threads, .progress = progress}});
  };
  int first = 0, second = 0;
  const IsoflopFit one = fit(1, first), two = fit(3, second);
  CHECK((first == 100 && second == 100));
  for (std::size_t i = 0; i < one.replicates.size(); ++i) {
    CHECK(one.replicates[i].slope == two.replicates[i].slope);
    CHECK(one.replicates[i].intercept == two.replicates[i].intercept);
  }
  CHECK(one.budgets[1].interval.high == two.budgets[1].interval.high);
}

TEST_CASE("draws whose lowest loss is at the edge leave the optimum unbounded on that side") {
  std::vector<IsoflopPoint> points;
  for (const double flops : {1e18, 1e19})
    for (const double size : {1e6, 2e6, 4e6, 8e6}) {  // least a little left of the largest but one
      const double distance = std::log(size / (flops < 5e18 ? 5.4e6 : 1.5e6));
      points.push_back({flops, size, 3 + 0.01 * distance * distance});
    }
  const IsoflopFit fit = fit_isoflop(points, {.fit = {.draws = 300}});
  REQUIRE(fit.budgets.size() == 2);
  REQUIRE(fit.budgets[0].problem.empty());
  CHECK(fit.budgets[0].refused_draws > 0.05);
  CHECK(std::isinf(fit.budgets[0].interval.high));
  REQUIRE(fit.budgets[1].problem.empty());
  CHECK(fit.budgets[1].interval.low == 0);
}
