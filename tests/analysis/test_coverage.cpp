// How often the 95 % intervals of fits hold the truth that their tables were drawn from. Minutes,
// not seconds: label slow. The seeds are fixed, so that the shares are the same on every machine.
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/support/random.hpp"

using namespace metascale;

namespace {

constexpr int tables = 500, replicates = 300, seeds = 3;
constexpr double noise = 0.0035;  // relative, of one run: what seeds are known to do

struct Truth {
  LawKind kind;
  std::vector<double> coefficients;     // as people know them
  std::vector<std::vector<double>> xs;  // one per cell
  std::vector<double> predicted_at;     // beyond the cells
};

Truth power_truth() {
  Truth truth{LawKind::power, {60, 1.7, 0.28}, {}, {6e9}};
  for (int i = 0; i < 12; ++i) truth.xs.push_back({1e6 * std::pow(3000.0, i / 11.0)});
  return truth;
}

Truth chinchilla_truth() {
  Truth truth{LawKind::chinchilla, {406.4, 410.7, 1.69, 0.34, 0.28}, {}, {6e9, 1.2e11}};
  for (const double size : {1e7, 3e7, 1e8, 3e8, 1e9, 3e9})
    for (const double ratio : {5.0, 20.0, 80.0, 320.0}) truth.xs.push_back({size, ratio * size});
  return truth;
}

std::vector<double> inside_of(const Truth& truth) {
  std::vector<double> inside = truth.coefficients;
  for (std::size_t i = 0; i < inside.size(); ++i)
    if (law(truth.kind).is_logarithm(i)) inside[i] = std::log(inside[i]);
  return inside;
}

std::vector<FitPoint> table_of(const Truth& truth, int table) {
  CounterRandom random(20250411, std::uint64_t(table));
  const std::vector<double> inside = inside_of(truth);
  std::vector<FitPoint> points;
  for (std::size_t cell = 0; cell < truth.xs.size(); ++cell)
    for (int seed = 0; seed < seeds; ++seed)
      points.push_back(
          {"run", std::to_string(cell), truth.xs[cell],
           law(truth.kind).loss(inside, truth.xs[cell]) * std::exp(noise * random.normal())});
  return points;
}

// Of each coefficient, and last of the prediction: the share of tables whose interval holds it.
std::vector<double> coverage_of(const Truth& truth) {
  std::vector<double> held(truth.coefficients.size() + 1);
  const double predicted = law(truth.kind).loss(inside_of(truth), truth.predicted_at);
  for (int table = 0; table < tables; ++table) {
    const Fit fit = fit_law(
        truth.kind, table_of(truth, table),
        {.draws = replicates, .seed = std::uint64_t(table), .influence = false, .starts = 300});
    for (std::size_t i = 0; i < truth.coefficients.size(); ++i)
      held[i] += fit.intervals[i].excludes(truth.coefficients[i]) ? 0 : 1.0 / tables;
    held.back() += fit.predict_interval(truth.predicted_at).excludes(predicted) ? 0 : 1.0 / tables;
  }
  return held;
}

void expect_nominal(const Truth& truth) {
  std::vector<std::string> names = law(truth.kind).names;
  names.push_back("prediction");
  const std::vector<double> held = coverage_of(truth);
  for (std::size_t i = 0; i < held.size(); ++i) {
    WARN(name_of(truth.kind) << ": " << names[i] << " held by " << 100 * held[i] << " %");
    CHECK(held[i] >= 0.90);
    CHECK(held[i] <= 0.98);
  }
}

}  // namespace

TEST_CASE("95 % intervals of a power law of 12 cells hold the truth in 90 to 98 %", "[.slow]") {
  expect_nominal(power_truth());
}

TEST_CASE("95 % intervals of a chinchilla law of 24 cells hold the truth in 90 to 98 %",
          "[.slow]") {
  expect_nominal(chinchilla_truth());
}
