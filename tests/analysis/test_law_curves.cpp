// Laws in N and D as chart, figure and table show them, on made-up logs of a known law.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/figure.hpp"
#include "analysis/law_curves.hpp"
#include "analysis/render_html.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/csv.hpp"
#include "analysis/tables.hpp"
#include "core/command.hpp"
#include "tests/analysis/drawn_pdf.hpp"
#include "tests/support/law_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;

namespace {

Report report_on(const fixture::LawGrid& grid) {
  return analyse(fixture::collection_of(fixture::logs_of(grid)),
                 {.bootstrap_pairs = 20, .bootstrap_fits = 40, .fit_starts = 60, .figures = false});
}

const fixture::LawGrid exact_grid{.seeds = 1, .noise = 0};

const LawCurves& law_named(const std::vector<LawCurves>& laws, const std::string& key) {
  for (const LawCurves& law : laws)
    if (law.key == key) return law;
  throw std::runtime_error("no law " + key);
}

}  // namespace

TEST_CASE("a law's curves stand on the cells that it was fitted to, one for each arm and size") {
  const Report report = report_on(exact_grid);
  const std::vector<LawCurves> laws = law_curves(report);
  CHECK(laws.size() == 3);
  for (const char* key : {"chinchilla", "joint-meta_state"}) {
    CAPTURE(key);
    const LawCurves& law = law_named(laws, key);
    REQUIRE(law.curves.size() == 2 * 6);
    for (const LawCurve& curve : law.curves) {
      CAPTURE(curve.arm, curve.size);
      const fixture::LawTruth& truth = exact_grid.arms[curve.arm == "transformer" ? 0 : 1];
      REQUIRE(curve.points.size() == 4);
      for (const LawPoint& point : curve.points) {
        CHECK(point.loss == Approx(truth.loss(curve.parameters, point.tokens)).epsilon(1e-9));
        CHECK(point.fitted == Approx(point.loss).epsilon(1e-3));
        CHECK(point.runs.size() == 1);
        CHECK(std::isnan(point.deviation));
      }
      for (std::size_t i = 0; i < curve.tokens.size(); ++i)
        CHECK(curve.loss[i] == Approx(truth.loss(curve.parameters, curve.tokens[i])).epsilon(1e-3));
      CHECK(curve.tokens.size() <= 30);  // a page holds many
      CHECK(curve.tokens.front() < curve.points.front().tokens);
      CHECK(curve.tokens.back() > curve.points.back().tokens);
    }
  }
}

TEST_CASE("the joint law's words are the shift between its two curves") {
  const Report report = report_on(exact_grid);
  const LawCurves law = law_named(law_curves(report), "joint-meta_state");
  CHECK_THAT(law.words, Catch::StartsWith("A of meta_state is 0.80") &&
                            Catch::Contains("of that of transformer, its B 0.90"));
  CHECK(law.curves[0].parameters == law.curves[6].parameters);  // the smallest size of each arm
  const fixture::LawTruth &first = exact_grid.arms[0], &second = exact_grid.arms[1];
  for (const std::size_t i : {std::size_t(0), law.curves[0].tokens.size() - 1}) {
    const double n = law.curves[0].parameters, d = law.curves[0].tokens[i];
    CHECK(law.curves[0].loss[i] - law.curves[6].loss[i] ==
          Approx(first.loss(n, d) - second.loss(n, d)).epsilon(0.02));
    CHECK_FALSE(law.curves[0].band[i].known());
  }
}

TEST_CASE("seeds are one point with their deviation, and an arm's own law has a band around it") {
  const Report report = report_on({.seeds = 3, .noise = 0.002});
  const LawCurves law = law_named(law_curves(report), "chinchilla");
  for (const LawCurve& curve : law.curves) {
    for (const LawPoint& point : curve.points) {
      CHECK(point.runs.size() == 3);
      CHECK((point.deviation > 0 && point.deviation < 0.02 * point.loss));
    }
    for (std::size_t i = 0; i < curve.tokens.size(); ++i)
      CHECK((curve.band[i].low <= curve.loss[i] && curve.loss[i] <= curve.band[i].high));
  }
}

TEST_CASE("page, table and figure of the laws in N and D say the same numbers") {
  const Report report = report_on(exact_grid);
  const std::vector<LawCurves> laws = law_curves(report);
  const Csv csv = parse_csv(to_csv(law_cells_table(report)), "law_cells");
  const auto page = nlohmann::json::parse(render_page_data(report))["laws"];
  REQUIRE(page.size() == laws.size());
  std::size_t row = 0;
  for (std::size_t i = 0; i < laws.size(); ++i)
    for (std::size_t j = 0; j < laws[i].curves.size(); ++j)
      for (std::size_t k = 0; k < laws[i].curves[j].points.size(); ++k, ++row) {
        const auto number = [&](const char* column) {
          return std::stod(csv.rows.at(row).cells[csv.column(column)]);
        };
        const auto& point = page[i]["curves"][j]["points"][k];
        CHECK(double(point["y"]) == number("measured"));
        CHECK(double(point["fitted"]) == number("fitted"));
        CHECK(double(point["x"]) == number("tokens"));
        CHECK(csv.rows[row].cells[csv.column("arm")] == page[i]["curves"][j]["arm"]);
        CHECK(number("residual") ==
              Approx(number("fitted") / number("measured") - 1).margin(1e-12));
      }
  CHECK(row == csv.rows.size());
  const std::string html = render_html(report);
  CHECK_THAT(html, Catch::Contains("id=\"chart-laws\"") &&
                       Catch::Contains("tables/law_cells.csv") &&
                       Catch::Contains("id=\"table-law_cells\""));
  const std::vector<Figure> figures = figures_of(report);
  const auto figure = std::find_if(figures.begin(), figures.end(), [](const Figure& each) {
    return each.name == "loss-by-tokens-joint-meta_state";
  });
  REQUIRE(figure != figures.end());
  CHECK_THAT(figure->caption, Catch::Contains("A of meta_state is 0.80") &&
                                  Catch::Contains("nats per token") && !Catch::EndsWith("."));
}

TEST_CASE("one length has no law in N and D, and no chart of one") {
  const Report report = report_on({.ratios = {20}, .seeds = 1});
  CHECK(law_curves(report).empty());
  CHECK(render_html(report).find("id=\"chart-laws\"") == std::string::npos);
  for (const Table& table : all_tables(report)) CHECK(table.key != "law_cells");
}

TEST_CASE("a law with a problem says so beside its curves") {
  Report report = report_on(exact_grid);
  for (ArmFit& entry : report.fits) entry.fit.problems.clear();
  CHECK(law_named(law_curves(report), "chinchilla").words.empty());
  for (ArmFit& entry : report.fits)
    if (entry.arm == "meta_state") entry.fit.problems = {"the best starts disagree"};
  CHECK(law_named(law_curves(report), "chinchilla").words ==
        "The law of meta_state has a problem that the table names.");
}

TEST_CASE("gnuplot draws the laws in N and D") {
  if (!run_command({"gnuplot", "--version"}).good()) {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  const testing::TemporaryFolder folder;
  int drawn = 0;
  for (const Figure& figure : figures_of(report_on({}))) {
    if (!figure.name.starts_with("loss-by-tokens-")) continue;
    folder.write(figure.name + ".csv", figure.data);
    folder.write(figure.name + ".gp", gnuplot_script(figure));
    const CommandResult result = run_command(
        {"gnuplot", "-e", "formats = 'pdf svg'", figure.name + ".gp"}, {.folder = folder.path()});
    INFO(figure.name << ": " << result.error);
    CHECK(result.good());
    CHECK(result.error.empty());
    testing::expect_drawn(folder / (figure.name + ".pdf"), figure);
    testing::expect_inside(folder / (figure.name + ".svg"));
    ++drawn;
  }
  CHECK(drawn == 3);
}
