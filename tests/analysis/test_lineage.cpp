// Losses along the compute of models that grew.
#include <algorithm>
#include <catch2/catch.hpp>

#include "analysis/figure.hpp"
#include "analysis/lineage.hpp"
#include "analysis/tables.hpp"
#include "tests/support/probe_fixture.hpp"

using namespace metascale;

namespace {

Report growth_report(std::vector<RunLog> logs = fixture::lineage_logs()) {
  return analyse(fixture::collection_of(std::move(logs)),
                 {.bootstrap_pairs = 20, .bootstrap_fits = 5, .fit_starts = 10});
}

}  // namespace

TEST_CASE("a lineage goes through its ancestors, at the compute of all of them") {
  const Report report = growth_report();
  const auto found = lineages(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].arm == "grown");
  CHECK(found[0].size == "large");
  REQUIRE(found[0].stages.size() == 3);
  const char* sizes[] = {"small", "middle", "large"};
  double flops = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const LineagePoint& stage = found[0].stages[i];
    CHECK(stage.size == sizes[i]);
    CHECK(stage.arm == (i == 0 ? "meta_state" : "grown"));
    CHECK(stage.runs.size() == 2);
    CHECK(stage.low < stage.loss);
    CHECK(stage.high > stage.loss);
    CHECK(stage.loss == Approx((stage.runs[0]->final_loss() + stage.runs[1]->final_loss()) / 2));
    flops += 120 * std::pow(1e6 * double(1 << i), 2);  // 6 N each of 20 N tokens
    CHECK(stage.flops == Approx(flops));
  }
}

TEST_CASE("both models from scratch stand beside the lineage") {
  const auto found = lineages(growth_report());
  REQUIRE(found[0].scratch.size() == 2);
  CHECK(found[0].scratch[0].compute != found[0].scratch[1].compute);
  for (const ScratchPoint& scratch : found[0].scratch) {
    CHECK(scratch.point.arm == "meta_state");
    CHECK(scratch.point.size == "large");
    CHECK(scratch.point.runs.size() == 2);
  }
}

TEST_CASE("an ancestor that went on after its child left is no stage") {
  std::vector<RunLog> logs = fixture::lineage_logs();
  for (RunLog& log : logs)
    if (log.facts["size"] == "middle") log.facts["parent_step"] = "20";
  const auto found = lineages(growth_report(std::move(logs)));
  REQUIRE(found.size() == 1);
  REQUIRE(found[0].stages.size() == 2);
  CHECK(found[0].stages[0].size == "middle");
}

TEST_CASE("a model that has not ended is no stage: its parent is the lineage's last") {
  std::vector<RunLog> logs = fixture::lineage_logs();
  for (RunLog& log : logs)
    if (log.facts["arm"] == "grown" && log.facts["size"] == "large")
      log.facts["status"] = "running";
  const auto found = lineages(growth_report(std::move(logs)));
  REQUIRE(found.size() == 1);
  CHECK(found[0].size == "middle");
  CHECK(found[0].scratch.empty());
}

TEST_CASE("what the lineage's chart shows is in its table and its figure") {
  const Report report = growth_report();
  const Table table = lineage_stages_table(report);
  REQUIRE(table.rows.size() == 5);
  CHECK(table.rows[0][2].shown == "stage");
  CHECK_THAT(table.rows[3][2].shown, Catch::StartsWith("from scratch, equal "));
  const auto figures = figures_of(report);
  const auto figure = std::find_if(figures.begin(), figures.end(),
                                   [](const Figure& each) { return each.name == "lineage"; });
  REQUIRE(figure != figures.end());
  CHECK(std::count(figure->data.begin(), figure->data.end(), '\n') == 5 + 2 * 2);
}

TEST_CASE("where nothing grew there is no lineage") {
  fixture::SweepTruth truth;
  truth.sizes = {{"1M", 1e6}}, truth.seeds = 1, truth.documents = 20;
  const Report report = growth_report(fixture::sweep_logs(truth));
  CHECK(lineages(report).empty());
  for (const Table& table : all_tables(report)) CHECK(table.key != "lineage_stages");
}
