#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/fit.hpp"
#include "analysis/fitting/minimise.hpp"
#include "analysis/fitting/search.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"

using namespace metascale;

namespace {

const std::vector<double> sizes{1e6, 3e6, 1e7, 3e7, 1e8, 3e8, 1e9, 3e9};

std::vector<FitPoint> power_points(double noise, int seeds) {
  CounterRandom random(3, 0);
  std::vector<FitPoint> points;
  for (const double size : sizes)
    for (int seed = 0; seed < seeds; ++seed)
      points.push_back({"run",
                        std::to_string(size),
                        {size},
                        (1.7 + 60 * std::pow(size, -0.28)) * std::exp(noise * random.normal())});
  return points;
}

std::vector<FitPoint> chinchilla_points(double noise) {
  CounterRandom random(4, 0);
  std::vector<FitPoint> points;
  for (const double size : {1e7, 3e7, 1e8, 3e8, 1e9, 3e9})
    for (const double ratio : {5.0, 20.0, 80.0, 320.0})
      points.push_back(
          {"run",
           "",
           {size, ratio * size},
           (1.69 + 406.4 * std::pow(size, -0.34) + 410.7 * std::pow(ratio * size, -0.28)) *
               std::exp(noise * random.normal())});
  return points;
}

}  // namespace

TEST_CASE("an exact power law with an offset is found again") {
  const Fit fit = fit_law(LawKind::power, power_points(0, 1), {.draws = 0});
  CHECK(fit.coefficients[0] == Approx(60).epsilon(1e-4));
  CHECK(fit.coefficients[1] == Approx(1.7).epsilon(1e-6));
  CHECK(fit.coefficients[2] == Approx(0.28).epsilon(1e-5));
  CHECK(fit.worst_residual < 1e-6);
  CHECK(fit.healthy());
}

TEST_CASE("an exact chinchilla law is found again from the grid of starts") {
  const Fit fit =
      fit_law(LawKind::chinchilla, chinchilla_points(0), {.draws = 0, .influence = false});
  const std::vector<double> truth{406.4, 410.7, 1.69, 0.34, 0.28};
  for (std::size_t i = 0; i < truth.size(); ++i)
    CHECK(fit.coefficients[i] == Approx(truth[i]).epsilon(1e-3));
  CHECK(fit.agreement >= 0.5);
}

TEST_CASE("a line in logarithms may rise and may fall") {
  const double exponent = GENERATE(-0.5, 0.1);
  std::vector<FitPoint> points;
  for (const double x : {1e2, 1e3, 1e4})
    points.push_back({"", "", {x}, 3 * std::pow(x, -exponent)});
  const Fit fit =
      fit_law(LawKind::loglog, points, {.objective = Objective::squared_log, .draws = 0});
  CHECK(fit.coefficients[0] == Approx(3));
  CHECK(fit.coefficients[1] == Approx(exponent));
}

TEST_CASE("a Huber objective is not moved by one outlier as squares are") {
  std::vector<FitPoint> points = power_points(0, 1);
  points[3].loss *= 1.05;
  const auto exponent = [&](Objective objective) {
    return fit_law(LawKind::power, points, {.objective = objective, .draws = 0, .influence = false})
        .coefficients[2];
  };
  CHECK(std::abs(exponent(Objective::huber_log) - 0.28) < 0.002);
  CHECK(std::abs(exponent(Objective::squared_log) - 0.28) > 0.01);
}

TEST_CASE("the Huber root's squares are Huber losses and its slope is continuous") {
  double below = 0, above = 0;
  CHECK(huber_root(0.5e-3, 1e-3, nullptr) == 0.5e-3);
  const double root = huber_root(-4e-3, 1e-3, nullptr);
  CHECK(root < 0);
  CHECK(root * root / 2 == Approx(1e-3 * (4e-3 - 0.5e-3)));
  huber_root(1e-3 * (1 - 1e-9), 1e-3, &below);
  huber_root(1e-3 * (1 + 1e-9), 1e-3, &above);
  CHECK(below == Approx(above).epsilon(1e-6));
}

TEST_CASE("gradients of every law agree with finite differences") {
  const LawKind kind =
      GENERATE(LawKind::loglog, LawKind::power, LawKind::chinchilla, LawKind::tied);
  const Law& form = law(kind);
  const std::vector<std::vector<double>> at{
      {1.2, 0.3}, {4, 0.5, 0.28}, {6, 6.1, 0.5, 0.34, 0.28}, {6, 6.1, 0.5, 0.3}};
  std::vector<double> inside = at[std::size_t(kind)];
  const double log_x[] = {18, 21};
  std::vector<double> gradient(form.coefficients());
  form.log_loss(inside, log_x, gradient.data());
  for (std::size_t i = 0; i < inside.size(); ++i) {
    std::vector<double> above = inside, below = inside;
    above[i] += 1e-6, below[i] -= 1e-6;
    const double slope =
        (form.log_loss(above, log_x, nullptr) - form.log_loss(below, log_x, nullptr)) / 2e-6;
    CHECK(gradient[i] == Approx(slope).epsilon(1e-6).margin(1e-9));
  }
}

TEST_CASE("the search near a minimum ends where the full search ends") {
  const std::vector<FitPoint> points = power_points(0.002, 2);
  const Fit fit = fit_law(LawKind::power, points, {.draws = 0, .influence = false});
  const LogTable table = log_table(law(LawKind::power), points);
  const LeastSquares problem = problem_of(law(LawKind::power), table, {});
  std::vector<double> start = fit.inside;
  start[0] += 0.3, start[1] -= 0.05, start[2] += 0.02;
  const Minimum minimum = minimise_nearby(problem, start, {.iterations = 1000, .tolerance = 1e-14});
  CHECK(minimum.objective == Approx(fit.objective).epsilon(1e-6));
  for (std::size_t i = 0; i < start.size(); ++i)
    CHECK(minimum.at[i] == Approx(fit.inside[i]).epsilon(1e-3));
}

TEST_CASE("seeds at one place weigh in a search as if each were a point of its own") {
  const Objective objective =
      GENERATE(Objective::huber_log, Objective::squared_log, Objective::squared);
  const Law& form = law(LawKind::power);
  LogTable table = log_table(form, power_points(0.01, 3));
  const LeastSquares together = problem_of(form, table, {.objective = objective});
  const std::size_t points = table.points();
  CHECK(std::size_t(together.residuals) == 2 * points / 3);
  LogTable apart = table;
  apart.places.clear();
  for (std::size_t i = 0; i < points; ++i) apart.places.push_back({i});
  const LeastSquares alone = problem_of(form, apart, {.objective = objective});
  REQUIRE(std::size_t(alone.residuals) == points);
  const std::vector<double> at{4.0, 0.5, 0.27};
  const auto normal_of = [&](const LeastSquares& problem) {  // r'r, J'r, J'J
    std::vector<double> r(std::size_t(problem.residuals)), j(r.size() * 3), sums(13);
    problem.evaluate(at, r.data(), j.data());
    for (std::size_t row = 0; row < r.size(); ++row) {
      sums[0] += r[row] * r[row];
      for (std::size_t a = 0; a < 3; ++a) {
        sums[1 + a] += j[row * 3 + a] * r[row];
        for (std::size_t b = 0; b < 3; ++b) sums[4 + 3 * a + b] += j[row * 3 + a] * j[row * 3 + b];
      }
    }
    return sums;
  };
  const std::vector<double> some = normal_of(together), all = normal_of(alone);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(some[i] == Approx(all[i]).epsilon(1e-10));
}

TEST_CASE("bootstrap intervals hold the truth and do not depend on the number of threads") {
  const std::vector<FitPoint> points = power_points(0.003, 3);
  const Fit fit = fit_law(LawKind::power, points, {.draws = 200, .threads = 1, .influence = false});
  const Fit again =
      fit_law(LawKind::power, points, {.draws = 200, .threads = 2, .influence = false});
  CHECK(fit.replicates == again.replicates);
  CHECK_FALSE(fit.parametric_bootstrap);
  CHECK_FALSE(fit.intervals[1].excludes(1.7));
  CHECK_FALSE(fit.intervals[2].excludes(0.28));
  const double at[] = {1e10};
  CHECK(fit.predict_interval(at).known());
}

TEST_CASE("one run per cell draws the seed noise that is known") {
  const Fit fit = fit_law(LawKind::power, power_points(0, 1), {.draws = 300, .influence = false});
  CHECK(fit.parametric_bootstrap);
  const double at[] = {1e6};
  const double truth = 1.7 + 60 * std::pow(1e6, -0.28);
  const Interval interval = fit.predict_interval(at);
  CHECK_FALSE(interval.excludes(truth));
  // One point's noise is 0.35 %; seven others hold the curve at its end.
  CHECK((interval.high - interval.low) / truth > 0.005);
  CHECK((interval.high - interval.low) / truth < 0.02);
}

TEST_CASE("influence is told row by row, once for rows alike, and left out of large tables") {
  std::vector<FitPoint> points = power_points(0.002, 2);
  const std::size_t distinct = points.size();
  points.push_back(points.front());
  points.back().label = "double";
  int told = 0;
  const FitOptions options{.draws = 0, .influence_progress = [&](int, int of) {
                             ++told;
                             CHECK(of == int(distinct));
                           }};
  const Fit fit = fit_law(LawKind::power, points, options);
  CHECK(told == int(distinct));
  REQUIRE(fit.influence.size() == points.size());
  CHECK(fit.influence.back().label == "double");
  CHECK(fit.influence.back().change == fit.influence.front().change);

  while (points.size() <= most_influences + 1)
    for (const FitPoint& more : power_points(0.002, 40)) points.push_back(more);
  for (std::size_t i = 0; i < points.size(); ++i) points[i].loss *= 1 + 1e-7 * double(i);
  const Fit large = fit_law(LawKind::power, points, {.draws = 0});
  CHECK(large.influence.empty());
  CHECK_THAT(large.no_influence, Catch::Contains("more than 256"));
}

TEST_CASE("held-out points are predicted, not fitted") {
  std::vector<FitPoint> points = power_points(0, 1);
  points.back().held_out = true;
  points.back().loss *= 2;
  const Fit fit = fit_law(LawKind::power, points, {.draws = 0});
  CHECK(fit.points.size() == points.size() - 1);
  REQUIRE(fit.held_out.size() == 1);
  CHECK(fit.held_out[0].error() == Approx(-0.5).epsilon(1e-4));
}

TEST_CASE("an optimal allocation spends its budget and balances the two terms") {
  const Fit fit =
      fit_law(LawKind::chinchilla, chinchilla_points(0), {.draws = 0, .influence = false});
  const Allocation best = allocate(fit, 1e21);
  CHECK(6 * best.parameters * best.tokens == Approx(1e21));
  CHECK(best.parameters_exponent == Approx(0.28 / (0.34 + 0.28)).epsilon(1e-3));
  const auto loss_at = [&](double parameters) {
    const double x[] = {parameters, 1e21 / 6 / parameters};
    return fit.predict(x);
  };
  CHECK(loss_at(best.parameters) < loss_at(1.05 * best.parameters));
  CHECK(loss_at(best.parameters) < loss_at(best.parameters / 1.05));
  CHECK_THROWS_AS(allocate(fit_law(LawKind::power, power_points(0, 1), {.draws = 0}), 1e21), Error);
}

TEST_CASE("an offset is fitted only where enough points span enough decades") {
  std::vector<FitPoint> points = power_points(0, 1);
  CHECK(law_for(points) == LawKind::power);
  points.resize(4);
  CHECK(law_for(points) == LawKind::loglog);
}

TEST_CASE("points without a logarithm and too few points are refused") {
  std::vector<FitPoint> points = power_points(0, 1);
  points[2].loss = GENERATE(0.0, -1.0, NAN, INFINITY);
  CHECK_THROWS_WITH(fit_law(LawKind::power, points), Catch::Contains("has no logarithm"));
  points.resize(2);
  CHECK_THROWS_WITH(fit_law(LawKind::power, points), Catch::Contains("needs 3 points"));
}
