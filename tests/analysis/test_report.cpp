#include <catch2/catch.hpp>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "analysis/figure.hpp"
#include "analysis/render_html.hpp"
#include "analysis/render_json.hpp"
#include "analysis/render_markdown.hpp"
#include "analysis/report.hpp"
#include "analysis/support/csv.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"
#include "core/error.hpp"
#include "tests/support/analysis_fixture.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

const ReportOptions quick{
    .bootstrap_pairs = 100, .bootstrap_fits = 20, .fit_starts = 100, .figures = false};

fixture::SweepTruth small_sweep() {
  fixture::SweepTruth truth;
  truth.sizes.resize(2), truth.seeds = 1, truth.steps = 20, truth.documents = 12;
  return truth;
}

Report report_on(std::vector<RunLog> logs) {
  return analyse(fixture::collection_of(std::move(logs)), quick);
}

bool notes(const Report& report, const std::string& words) {
  for (const std::string& note : report.notes)
    if (note.find(words) != std::string::npos) return true;
  return false;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++count;
  return count;
}

}  // namespace

TEST_CASE("the page is one file that asks for nothing from a network") {
  const std::string page = render_html(report_on(fixture::sweep_logs(small_sweep())));
  CHECK(page.find("src=") == std::string::npos);
  CHECK(page.find("@import") == std::string::npos);
  CHECK(page.find("<link rel=\"stylesheet\"") == std::string::npos);
  CHECK(page.find("Chart.js v3") != std::string::npos);
  CHECK(page.size() < 5u << 20);
}

TEST_CASE("every section of the page has a heading and every table a caption") {
  const std::string page = render_html(report_on(fixture::sweep_logs(small_sweep())));
  CHECK(count_of(page, "<section ") == count_of(page, "<h2 "));
  CHECK(count_of(page, "<table") == count_of(page, "<caption>"));
  CHECK(count_of(page, "<section ") == count_of(page, "</section>"));
}

TEST_CASE("a run that is named like a script is shown, not run") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  const std::string evil = "<script>alert(1)</script>";
  for (RunLog& log : logs) {
    log.facts["sweep"] = evil, log.facts["tokenizer"] = evil;
    log.configuration = "id: " + evil, log.environment["host"] = evil;
  }
  logs[0].run_id = evil, logs[0].facts["size"] = evil,
  logs[0].evaluations.back().domains[0].domain = evil;
  const Report report = report_on(std::move(logs));
  const std::string page = render_html(report);
  CHECK(page.find(evil) == std::string::npos);
  CHECK(count_of(page, "&lt;script&gt;alert(1)&lt;/script&gt;") > 3);
  CHECK(render_markdown(report).find("<script>") == std::string::npos);
}

TEST_CASE("page and text say how final evaluations were made, and with which tokenizer") {
  const Report report = report_on(fixture::sweep_logs(small_sweep()));
  const std::string words = "split test, protocol packed_windows, coverage all, tokenizer bytes";
  CHECK(report.protocol == words);
  CHECK(render_html(report).find("Final evaluations: " + words + ".") != std::string::npos);
  std::string markdown = render_markdown(report);
  std::erase(markdown, '\\');  // before what Markdown would take for its own
  CHECK(markdown.find("Final evaluations: " + words + ".") != std::string::npos);
}

TEST_CASE("the text lists the figures that were drawn, with their captions, and no others") {
  Report report = report_on(fixture::sweep_logs(small_sweep()));
  CHECK(render_markdown(report).find("## Figures") == std::string::npos);
  report.figures = {{"loss-by-size-1xC", "Final <b>loss</b>"}};
  CHECK_THAT(
      render_markdown(report),
      Catch::Contains("## Figures\n\n- [loss-by-size-1xC](figures/loss-by-size-1xC.svg): ") &&
          !Catch::Contains("<b>"));
}

TEST_CASE("the page's data hold no tag and are JSON") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs[0].run_id = "</script><b>";
  const std::string data = render_page_data(report_on(std::move(logs)));
  CHECK(data.find('<') == std::string::npos);
  CHECK(nlohmann::json::parse(data)["runs"].size() == 6);
}

TEST_CASE("fits.json holds what the page says") {
  const Report report = report_on(fixture::sweep_logs(small_sweep()));
  const auto json = nlohmann::json::parse(render_json(report));
  CHECK(json["claims"].size() == report.claims.size());
  CHECK(json["cells"].size() == 6);
  CHECK(double(json["cells"][0]["loss"]) == report.cells[0].loss);
  CHECK(json["pairs"].size() == 6);
}

TEST_CASE("a folder without runs still gives a page that says so") {
  const Report report = report_on({});
  CHECK(notes(report, "There is no run"));
  CHECK(render_html(report).find("The folder holds no run.") != std::string::npos);
  CHECK(render_markdown(report).find("The folder holds no run.") != std::string::npos);
}

TEST_CASE("one run alone gives a page without comparison") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs.resize(1);
  const Report report = report_on(std::move(logs));
  CHECK(report.pairs.empty());
  CHECK(report.fits.empty());
  CHECK(render_html(report).find("No two runs are a matched pair.") != std::string::npos);
}

TEST_CASE("runs that all failed still give a page with their curves") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  for (RunLog& log : logs) log.facts["status"] = "failed";
  const Report report = report_on(std::move(logs));
  CHECK(notes(report, "No run is done"));
  CHECK(notes(report, "6 runs are failed"));
  CHECK(render_html(report).find("chart-curves") != std::string::npos);
}

TEST_CASE("half-written logs and NaN rows do not stop the page") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs[0].steps.resize(7), logs[0].evaluations.clear(), logs[0].facts["status"] = "running";
  logs[1].steps[3].loss = std::numeric_limits<double>::quiet_NaN();
  logs[2].facts.clear();
  logs[3].steps.clear();
  const Report report = report_on(std::move(logs));
  CHECK(notes(report, "1 logged step has a loss that is not finite"));
  CHECK(render_html(report).size() > 10000);
  CHECK_NOTHROW(nlohmann::json::parse(render_json(report)));
}

TEST_CASE("a fixed subset and single seeds are said at the top") {
  fixture::SweepTruth truth = small_sweep();
  truth.coverage = "64 of 812 windows";
  const Report report = report_on(fixture::sweep_logs(truth));
  CHECK(notes(report, "64 of 812 windows"));
  CHECK(render_html(report).find(
            "<p class=\"lead\">On a fixed subset, which claims nothing: at ") != std::string::npos);
  CHECK(notes(report, "Some pairs have one seed"));
}

TEST_CASE("the report of a folder on disk holds every part") {
  const fs::path folder =
      fs::temp_directory_path() / ("metascale-report-" + std::to_string(std::random_device{}()));
  for (const RunLog& log : fixture::sweep_logs(small_sweep())) {
    fs::create_directories(folder / "runs" / log.run_id);
    write_run_file(folder / "runs" / log.run_id / "run.h5", log);
    std::ofstream(folder / "runs" / log.run_id / "DONE");
  }
  const ReportResult result = write_report(folder, quick);
  CHECK(result.done == 6);
  CHECK(result.failed + result.unfinished + result.unreadable == 0);
  for (const char* part : {"report.html", "report.md", "fits.json", "tables/comparison.csv",
                           "tables/pairs.csv", "tables/curves.csv", "tables/comparison.tex"}) {
    INFO(part);
    CHECK(fs::file_size(folder / "report" / part) > 0);
  }
  fs::remove_all(folder);
}

TEST_CASE("what an earlier report had and this one has not is gone from its folder") {
  const testing::TemporaryFolder temporary;
  const fs::path report = temporary.path() / "report";
  fs::create_directories(report / "tables"), fs::create_directories(report / "figures");
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(report / name) << text;
  };
  for (const char* name : {"tables/probes.csv", "tables/mine.csv", "figures/lineage.csv"})
    write(name, "x\n");
  write("figures/lineage.gp", gnuplot_script({"lineage", "", "", {"x"}}));
  fs::create_symlink("mine.csv", report / "tables/isoflop.csv");
  ReportOptions options = quick;
  options.output = report;
  write_report(fixture::collection_of(fixture::sweep_logs(small_sweep())), options);
  for (const char* name : {"tables/probes.csv", "figures/lineage.csv", "figures/lineage.gp"}) {
    CAPTURE(name);
    CHECK_FALSE(fs::exists(report / name));
  }
  for (const char* name : {"tables/mine.csv", "tables/isoflop.csv", "tables/claims.csv"}) {
    CAPTURE(name);
    CHECK(fs::exists(report / name));
  }
}

TEST_CASE("the numbers of claims stand in full in a table and in fits.json") {
  fixture::SweepTruth truth = small_sweep();
  truth.sizes = {{"1M", 1e6}, {"3M", 3e6}, {"10M", 1e7}};
  const Report report = report_on(fixture::sweep_logs(truth));
  const Csv csv = parse_csv(to_csv(claim_values_table(report)), "claim_values");
  const auto rows_of = [&](const std::string& letter, const std::string& measure) {
    std::vector<std::vector<std::string>> rows;
    for (const CsvRow& row : csv.rows)
      if (row.cells[csv.column("letter")] == letter && row.cells[csv.column("measure")] == measure)
        rows.push_back(row.cells);
    return rows;
  };
  const auto slope = rows_of("b", "slope_of_relative_gain_in_ln_parameters");
  REQUIRE(slope.size() == 1);
  CHECK(slope[0][csv.column("length")] == "1xC");
  CHECK(std::stod(slope[0][csv.column("low")]) < std::stod(slope[0][csv.column("value")]));
  CHECK(slope[0][csv.column("value")].size() > 8);  // not rounded
  CHECK(count_of(slope[0][csv.column("runs")], "0badcafe") == 6);
  for (const auto& [letter, measure] :
       {std::pair{"a", "relative_gain"}, std::pair{"f", "relative_gain_in_short_context"},
        std::pair{"g", "relative_gain_at_equal_flops"},
        std::pair{"g", "relative_gain_at_equal_hours"}}) {
    INFO(measure);
    CHECK(rows_of(letter, measure).size() == 3);
  }
  const auto json = nlohmann::json::parse(render_json(report));
  const auto& growth = json["claims"][1];
  REQUIRE(growth["letter"] == "b");
  CHECK(exact(double(growth["values"][0]["value"])) == slope[0][csv.column("value")]);
  const auto& stored = growth["values"][0];
  CHECK(exact(double(stored["interval"][0])) == slope[0][csv.column("low")]);
  CHECK(exact(double(stored["interval"][1])) == slope[0][csv.column("high")]);
  CHECK(stored["interval_unbounded"] == nlohmann::json::array({false, false}));
  for (const Claim& claim : report.claims) {  // nothing is said in words only
    INFO(claim.letter);
    CHECK(claim.values.size() >= claim.evidence.size());
  }
}

TEST_CASE("in fits.json a claim's unbounded interval is told from a missing one and an end at 0") {
  const double infinity = std::numeric_limits<double>::infinity();
  Report report = report_on(fixture::sweep_logs(small_sweep()));
  const auto value = [](const Interval& interval) {
    return ClaimValue{.measure = "share", .value = 1, .interval = interval};
  };
  report.claims.at(0).values = {value({-infinity, infinity}), value({}), value({0, 1})};
  const auto json = nlohmann::json::parse(render_json(report))["claims"][0]["values"];
  const auto list = [](const auto& low, const auto& high) {
    return nlohmann::json::array({low, high});
  };
  CHECK(json[0]["interval"] == list(nullptr, nullptr));
  CHECK(json[0]["interval_unbounded"] == list(true, true));
  CHECK(json[1]["interval"] == list(nullptr, nullptr));
  CHECK(json[1]["interval_unbounded"] == list(false, false));
  CHECK(json[2]["interval"] == list(0.0, 1.0));
  CHECK(json[2]["interval_unbounded"] == list(false, false));
}

TEST_CASE("the totals of the page's top stand in a table and in fits.json") {
  const Report report = report_on(fixture::sweep_logs(small_sweep()));
  double flops = 0;
  for (const Run& run : report.collection.runs) flops += run.flops;
  const auto totals = nlohmann::json::parse(render_json(report))["totals"];
  CHECK(totals["runs"] == 6);
  CHECK(totals["matched_pairs"] == 6);
  CHECK(double(totals["model_flops"]) == Approx(flops));
  const Csv csv = parse_csv(to_csv(totals_table(report)), "totals");
  CHECK(csv.rows.at(0).cells[csv.column("runs_done")] == "6");
  CHECK(std::stod(csv.rows[0].cells[csv.column("hours")]) == double(totals["hours"]));
}

TEST_CASE("executed FLOPs stand beside the model's, where they were logged") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs[0].facts["executed_flops_per_token"] = "7654321";
  const Csv csv = parse_csv(to_csv(speed_table(report_on(std::move(logs)))), "speed");
  const std::size_t column = csv.column("executed_flops_per_token");
  CHECK(csv.rows.at(0).cells[column] == "7654321");
  CHECK(csv.rows.at(1).cells[column] == "nan");
  CHECK(csv.rows.at(0).cells[csv.column("flops_per_token")] == "6000000");
}

TEST_CASE("a superseded run adds no seed to its cell") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  Collection collection;
  collection.runs.push_back(summarise(logs[0], {}));
  collection.runs.push_back(summarise(logs[0], {}));
  collection.runs[1].id = "old", collection.runs[1].left_out = "not in the sweep file (any more)";
  settle(collection);
  const Report report = analyse(std::move(collection), quick);
  REQUIRE(report.cells.size() == 1);
  CHECK(report.cells[0].runs.size() == 1);
  CHECK(render_html(report).find("not in the sweep file (any more)") != std::string::npos);
}

TEST_CASE("a report can be made again and is the same but for its time") {
  const auto logs = fixture::sweep_logs(small_sweep());
  Report one = report_on(logs), two = report_on(logs);
  two.generated = one.generated;
  CHECK(render_html(one) == render_html(two));
}

TEST_CASE("three lengths are fitted together, alone and with the baseline") {
  fixture::SweepTruth truth;
  truth.arms.erase(truth.arms.begin() + 1);
  truth.lengths = {"1xC", "4xC", "16xC"}, truth.seeds = 1, truth.steps = 20, truth.documents = 12;
  auto logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) {  // tokens and losses of the length
    const double times = std::stod(log.facts["length"]);
    for (StepRow& row : log.steps) row.tokens = std::int64_t(double(row.tokens) * times);
    log.facts["tokens_planned"] =
        std::to_string(std::int64_t(std::stod(log.facts["tokens_planned"]) * times));
    Evaluation& last = log.evaluations.back();
    last.nats *= 1 - 0.01 * std::log(times);
  }
  const Report report = report_on(std::move(logs));
  const auto over_lengths = [&](LawKind kind) {
    return std::count_if(report.fits.begin(), report.fits.end(), [&](const ArmFit& entry) {
      return entry.length == "all" && entry.fit.kind == kind && entry.held_out;
    });
  };
  CHECK(over_lengths(LawKind::chinchilla) == 2);
  CHECK(over_lengths(LawKind::tied) == 2);
  const auto in_tokens =
      std::count_if(report.fits.begin(), report.fits.end(), [](const ArmFit& entry) {
        return entry.axis == FitAxis::tokens && !entry.size.empty() && entry.fit.points.size() == 3;
      });
  CHECK(in_tokens == 2 * 5);  // each arm at each size
  REQUIRE(report.joint_fits.size() == 1);
  CHECK(report.joint_fits[0].second_arm == "meta_state");
  const std::string page = render_html(report);
  CHECK(page.find("longest length") != std::string::npos);
  CHECK(page.find("table-joint_fits") != std::string::npos);
}

TEST_CASE("each loss can be traced to its runs and to the row of their logs") {
  const Report report = report_on(fixture::sweep_logs(small_sweep()));
  const Table cells = cells_table(report), runs = runs_table(report);
  const std::size_t source = cells.columns.size() - 4;  // behind it: how they were evaluated
  REQUIRE(cells.columns[source].key == "runs");
  CHECK(cells.rows[0][source].shown == report.cells[0].runs[0]->id);
  CHECK(runs.columns.back().key == "evaluation_row");
  const Run& run = report.collection.runs[0];
  const auto row = std::size_t(std::stoi(runs.rows[0].back().shown));
  CHECK(run.log.evaluations[row].loss() == run.final_loss());
  const std::string page = render_html(report);
  CHECK(page.find("id=\"" + run_anchor(run.id) + "\"") != std::string::npos);
  CHECK(page.find("title=\"From the final evaluations of: " + run.id) != std::string::npos);
}
