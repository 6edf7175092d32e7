// IsoFLOP fits in a report, on made-up logs whose optima are known.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "analysis/figure.hpp"
#include "analysis/render_html.hpp"
#include "analysis/render_json.hpp"
#include "analysis/render_markdown.hpp"
#include "analysis/report.hpp"
#include "analysis/tables.hpp"
#include "core/command.hpp"
#include "tests/analysis/drawn_pdf.hpp"
#include "tests/support/isoflop_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;
using fixture::budgets, fixture::logs_of, fixture::meta_state, fixture::transformer,
    fixture::Valley;

namespace {

Report report_on(std::vector<RunLog> logs, bool asked = true) {
  return analyse(fixture::collection_of(std::move(logs)), {.bootstrap_pairs = 50,
                                                           .bootstrap_fits = 60,
                                                           .fit_starts = 20,
                                                           .isoflop = asked,
                                                           .figures = false});
}

const IsoflopReport& entry_of(const Report& report, const std::string& arm, FitAxis axis) {
  for (const IsoflopReport& entry : report.isoflops)
    if (entry.arm == arm && entry.axis == axis) return entry;
  FAIL("no isoFLOP entry of " << arm);
  return report.isoflops.front();
}

std::string cell_at(const Table& table, std::size_t row, const std::string& key) {
  for (std::size_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].key == key) return table.rows.at(row).at(i).shown;
  FAIL("no column " << key);
  return "";
}

}  // namespace

TEST_CASE("the optima of every arm are found at the FLOPs that its runs achieved") {
  const Report report = report_on(logs_of({}));
  REQUIRE(report.isoflops.size() == 4);  // two arms by two axes
  for (const Valley& valley : {transformer, meta_state}) {
    CAPTURE(valley.arm);
    const auto& own = entry_of(report, valley.arm, FitAxis::non_embedding_parameters);
    const auto& all = entry_of(report, valley.arm, FitAxis::parameters);
    REQUIRE((own.fit && all.fit));
    REQUIRE(own.fit->budgets.size() == 4);
    CHECK(own.fit->healthy());
    CHECK(own.fit->exponent == Approx(valley.exponent).epsilon(1e-6));
    CHECK(all.fit->exponent == Approx(valley.exponent).epsilon(1e-6));
    CHECK(all.fit->coefficient == Approx(own.fit->coefficient / 0.8).epsilon(1e-3));
    CHECK(own.fit->interval.low < valley.exponent);
    CHECK(own.fit->interval.high > valley.exponent);
    for (std::size_t i = 0; i < 4; ++i) {
      const IsoflopBudget& budget = own.fit->budgets[i];
      CHECK(budget.parameters ==
            Approx(valley.coefficient * std::pow(budgets[i], valley.exponent)).epsilon(1e-3));
      CHECK(own.profiles[i].cells.size() == 10);
      CHECK(own.profiles[i].spread == Approx(1 / valley.flops_share - 1).margin(1e-9));
      CHECK(budget.flops == Approx(budgets[i] * std::sqrt(valley.flops_share)));
    }
  }
}

TEST_CASE("seeds are means of their cell, and the interval still holds the truth") {
  const Report report = report_on(logs_of({.arms = {transformer}, .seeds = 3, .noise = 0.002}));
  const auto& entry = entry_of(report, "transformer", FitAxis::non_embedding_parameters);
  REQUIRE(entry.fit);
  CHECK(entry.fit->budgets[0].sizes == 5);
  CHECK((entry.fit->interval.low < 0.5 && 0.5 < entry.fit->interval.high));
}

TEST_CASE("a budget of two sizes has no data and says so, and the others are fitted") {
  std::vector<RunLog> logs = logs_of({.arms = {transformer}});
  std::erase_if(logs, [](const RunLog& log) {
    return log.facts.at("length") == "1e+17flop" && log.facts.at("size") != "8M" &&
           log.facts.at("size") != "16M";
  });
  const Report report = report_on(std::move(logs));
  const auto& entry = entry_of(report, "transformer", FitAxis::non_embedding_parameters);
  REQUIRE(entry.profiles.size() == 4);
  CHECK(entry.profiles[1].no_data == "2 sizes; a parabola needs 3");
  REQUIRE(entry.fit);
  CHECK(entry.fit->budgets.size() == 3);
  CHECK_FALSE(entry.fit->healthy());  // three budgets are too few
  const Table table = isoflop_budgets_table(report);
  CHECK(cell_at(table, 1, "verdict") == "no data: 2 sizes; a parabola needs 3");
  CHECK(cell_at(table, 1, "optimum") == "-");
  CHECK(cell_at(table, 2, "verdict") == "used");
  CHECK(cell_at(table, 2, "flops") == "1.00e18");  // the parabola of its own budget, not the next
}

TEST_CASE("cells of unequal FLOPs are no profile: no data, with the reason, wherever it is said") {
  fixture::SweepTruth ladder;
  ladder.seeds = 1, ladder.steps = 10, ladder.documents = 6;
  const Report report = report_on(fixture::sweep_logs(ladder));
  const auto& entry = entry_of(report, "rwkv7", FitAxis::non_embedding_parameters);
  CHECK_FALSE(entry.fit);
  const std::string reason =
      "no budget of FLOPs has 3 sizes that are done (cells of size and length: 5; budgets: 5)";
  CHECK(entry.no_data == reason);
  CHECK(cell_at(isoflop_table(report), 0, "health") == "no data");
  CHECK(nlohmann::json::parse(render_json(report))["isoflop"][0]["no_data"] == reason);
  CHECK(render_markdown(report).find(reason) != std::string::npos);
  const std::string page = render_html(report);
  CHECK(page.find(reason) != std::string::npos);
  CHECK(page.find("id=\"chart-isoflop\"") == std::string::npos);
  CHECK(report_on({}).isoflops.empty());
}

TEST_CASE("no isoFLOP fit is made or shown where none was asked for") {
  const Report report = report_on(logs_of({.arms = {transformer}}), false);
  CHECK(report.isoflops.empty());
  CHECK(render_html(report).find("isoflop_budgets") == std::string::npos);
  for (const Table& table : all_tables(report)) CHECK(table.key != "isoflop");
}

TEST_CASE("page, tables, figures and fits.json say the same of an isoFLOP fit") {
  const Report report = report_on(logs_of({}));
  const auto& entry = report.isoflops[0];
  const auto json = nlohmann::json::parse(render_json(report))["isoflop"][0];
  CHECK(double(json["fit"]["coefficients"]["exponent"]) == entry.fit->exponent);
  CHECK(double(json["fit"]["intervals"]["exponent"][0]) == entry.fit->interval.low);
  CHECK(json["profiles"][2]["cells"].size() == 10);
  CHECK(json["fit"]["healthy"] == true);
  const Table lines = isoflop_table(report), profiles = isoflop_budgets_table(report);
  CHECK(cell_at(lines, 0, "exponent") == "0.500");
  CHECK(cell_at(lines, 0, "budgets") == "4 of 4");
  CHECK(cell_at(lines, 0, "health") == "good");
  CHECK(profiles.rows.size() == 16);
  CHECK(cell_at(profiles, 0, "runs").find("transformer-1M-1e+16flop-s1") == 0);

  const auto page = nlohmann::json::parse(render_page_data(report))["isoflop"];
  REQUIRE(page.size() == 4);
  const auto& profile = page[0]["profiles"][1];
  CHECK(double(profile["optimum"]) == entry.fit->budgets[1].parameters);
  CHECK(profile["points"].size() == 10);
  CHECK(double(profile["line"][0]["y"]) > double(profile["loss"]));
  CHECK(page[0]["line"].size() > 20);
  CHECK(render_html(report).find("id=\"chart-optima\"") != std::string::npos);

  std::vector<std::string> names;
  for (const Figure& figure : figures_of(report)) names.push_back(figure.name);
  for (const char* name : {"isoflop-transformer", "isoflop-meta_state", "isoflop-optima"})
    CHECK(std::count(names.begin(), names.end(), name) == 1);
}

TEST_CASE("an optimum that is unbounded on both sides is told from one without an interval") {
  Report report = report_on(logs_of({}));
  std::vector<IsoflopBudget>& found = report.isoflops.at(0).fit->budgets;
  found[0].interval = {0, std::numeric_limits<double>::infinity()};
  found[1].interval = {};
  const auto told = nlohmann::json::parse(render_json(report))["isoflop"][0]["fit"]["budgets"];
  const auto drawn = nlohmann::json::parse(render_page_data(report))["isoflop"][0]["profiles"];
  for (const std::size_t i : {0, 1}) {
    CAPTURE(i);
    CHECK(told[i]["interval_unbounded"] == nlohmann::json({i == 0, i == 0}));
    CHECK((drawn[i]["low"].is_null() && drawn[i]["high"].is_null()));
    CHECK(drawn[i]["known"] == (i == 0));
  }
  const Table table = isoflop_budgets_table(report);
  CHECK(cell_at(table, 0, "interval") == "[unbounded, unbounded]");
  CHECK(cell_at(table, 1, "interval") == "-");
}

TEST_CASE("gnuplot draws the profiles and the optima") {
  if (!run_command({"gnuplot", "--version"}).good()) {
    WARN("skipped: gnuplot is not installed");
    return;
  }
  const testing::TemporaryFolder folder;
  const Report report = report_on(logs_of({.sizes = 8}));
  int drawn = 0;
  for (const Figure& figure : figures_of(report)) {
    if (!figure.name.starts_with("isoflop-")) continue;
    folder.write(figure.name + ".csv", figure.data);
    folder.write(figure.name + ".gp", gnuplot_script(figure));
    const CommandResult result = run_command(
        {"gnuplot", "-e", "formats = 'pdf'", figure.name + ".gp"}, {.folder = folder.path()});
    INFO(figure.name << ": " << result.error);
    CHECK(result.good());
    CHECK(result.error.empty());
    testing::expect_drawn(folder / (figure.name + ".pdf"), figure);
    ++drawn;
  }
  CHECK(drawn == 3);
}
