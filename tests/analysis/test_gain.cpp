#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/gain.hpp"
#include "analysis/render_json.hpp"
#include "analysis/report/fits.hpp"
#include "analysis/tables.hpp"

using namespace metascale;

namespace {

// Two arms with a law each, and one cell of the second that can be set against the first's law.
Report report_with(const Fit& baseline, const Fit& arm) {
  Report report;
  report.collection.arms = {"base", "arm"};
  report.fits.push_back({"base", "1xC", FitAxis::training_flops, baseline, {}});
  report.fits.push_back({"arm", "1xC", FitAxis::training_flops, arm, {}});
  const double at[] = {1e20};
  Cell cell{.arm = "arm", .size = "3M", .length = "1xC", .runs = {}};
  cell.training_flops = at[0], cell.loss = arm.predict(at);
  report.cells.push_back(cell);
  return report;
}

std::string problem_of_gain(const Report& laws) {
  Report report = report_with(laws.fits[0].fit, laws.fits[1].fit);
  add_gains(report, {});
  return report.gains.at(0).gain.problem;
}

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

TEST_CASE("where the baseline never reaches the loss in some draws the gain has no upper bound") {
  Fit baseline = law_with(1, 1);
  const Fit arm = law_with(2, 2);
  const std::size_t floor = std::size_t(law(LawKind::power).constant);
  const double at[] = {1e20};
  const double loss = arm.predict(at);
  for (std::size_t i = 0; i < baseline.replicates.size(); i += 10)  // a tenth of the draws
    baseline.replicates[i][floor] = std::log(1.01 * loss);
  const EquivalentGain gain = equivalent_gain(baseline, arm, 1e20, loss);
  CHECK(std::isinf(gain.interval.high));
  CHECK(gain.high_beyond);
  CHECK(gain.interval.low > 1.2);
  CHECK_FALSE(gain.low_beyond);
  CHECK(gain.problem.empty());

  Report report = report_with(baseline, arm);
  add_gains(report, {});
  const Table table = gains_table(report);
  std::string shown;
  for (const TableCell& cell : table.rows.at(0)) shown += cell.shown + "|";
  CHECK_THAT(shown, Catch::Contains(", unbounded]|"));

  const auto told = nlohmann::json::parse(render_json(report))["gains"].at(0);
  CHECK((told["interval"][0].is_number() && told["interval"][1].is_null()));
  CHECK(told["interval_unbounded"] == nlohmann::json({false, true}));
}

TEST_CASE("a gain outside the baseline's fitted range is shown to nobody, and exact in the CSV") {
  Report report = report_with(law_with(1, 1), law_with(2, 2));
  report.fits[0].fit.points.resize(3);  // up to 1e18: the arm's loss is reached beyond
  add_gains(report, {});
  const Table table = gains_table(report);
  const GainReport& gain = report.gains.at(0);
  REQUIRE(gain.gain.beyond);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const TableCell& cell = table.rows.at(0).at(i);
    if (table.columns[i].key == "gain") {
      CHECK(cell.shown == "-");
      CHECK(std::stod(cell.exact) == gain.gain.gain);
    }
    if (table.columns[i].key == "interval" || table.columns[i].key == "baseline_x")
      CHECK(cell.shown == "-");
  }
}

TEST_CASE("a gain that rests on a bad law is not to be quoted, for few cells alone it may be") {
  Report laws = report_with(law_with(1, 1), law_with(2, 2));
  CHECK(problem_of_gain(laws).empty());
  laws.fits[0].fit.problems = {"interval unreliable: 5 cells of (size, length), fewer than 8"};
  CHECK(problem_of_gain(laws).empty());
  laws.fits[0].fit.problems.push_back("too few points: 2, seeds apart");
  CHECK_THAT(problem_of_gain(laws),
             Catch::Contains("the law of base is bad (too few points: 2, seeds apart)"));
  laws.fits[1].fit.points.resize(4);  // its own range does not matter
  laws.fits[0].fit.points.resize(3);  // up to 1e18: the arm's loss is reached beyond
  CHECK_THAT(problem_of_gain(laws), Catch::Contains("outside its fitted range") &&
                                        Catch::Contains("; the law of base is bad"));
  std::swap(laws.fits[0].fit.problems, laws.fits[1].fit.problems);
  CHECK_THAT(problem_of_gain(laws), Catch::Contains("the law of arm is bad"));
}
