// The table of probes' accuracies.
#include <catch2/catch.hpp>

#include "analysis/tables.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

// Two seeds of each arm, tested at 16 and 32 tokens; the second seed answers 4 more of the 32.
Report probe_report() {
  fixture::SweepTruth truth;
  truth.sizes = {{"s3.L1", 1e6}};
  truth.seeds = 2;
  truth.documents = 20;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) {
    log.facts["probe_task"] = "s3";
    log.facts["probe"] = "task=s3";
    log.facts["context"] = "16";
    log.facts["layers"] = "2";
    log.facts["probe_chance"] = "0.16666666666666666";
    const std::int64_t more = log.facts.at("seed") == "2" ? 4 : 0;
    log.evaluations.back().probes = {{16, 0, 0, 10, 10, 1, 10, 10},
                                     {16, 1, 15, 30, 26, 2, 10, 8},
                                     {32, 0, 31, 32, 16 + more, 9, 10, 1}};
  }
  ReportOptions options;
  options.bootstrap_pairs = options.bootstrap_fits = 20;
  return analyse(fixture::collection_of(std::move(logs)), options);
}

}  // namespace

TEST_CASE("the probes' table has a row per arm and tested length, over seeds") {
  const Table table = probes_table(probe_report());
  REQUIRE(table.rows.size() == 3 * 2);
  const auto& sixteen = table.rows[0];
  CHECK(sixteen[0].shown == "s3");
  CHECK(sixteen[1].shown == "s3.L1");
  CHECK(sixteen[4].shown == "16");
  CHECK(sixteen[5].exact == "0.9");  // 36 of 40
  CHECK(sixteen[8].exact == "0.8");  // by the last bin
  CHECK(sixteen[9].shown == "16.7 %");
  CHECK(sixteen[10].shown == "2");
  const auto& longer = table.rows[1];
  CHECK(longer[4].shown == "32");
  CHECK(longer[5].exact == "0.5625");  // 16 and 20 of 32
  CHECK(longer[6].exact == "0.5");
  CHECK(longer[7].exact == "0.625");
}

TEST_CASE("the least depth is that of the shallowest models that make no mistake in nine of ten") {
  Report report = probe_report();
  const Table unsolved = probe_depths_table(report);
  REQUIRE(unsolved.rows.size() == 3);
  CHECK(unsolved.rows[0][0].shown == "task=s3");
  CHECK(unsolved.rows[0][2].shown == "16");
  CHECK(unsolved.rows[0][4].shown == "none");  // 8 of 10
  CHECK(unsolved.rows[0][5].shown == "2");
  for (Run& run : report.collection.runs)
    for (Evaluation& evaluation : run.log.evaluations)
      for (ProbeRow& row : evaluation.probes) row.solved = row.examples;
  CHECK(probe_depths_table(report).rows[0][4].shown == "2");
}

TEST_CASE("a report on texts has no table of probes") {
  fixture::SweepTruth truth;
  truth.sizes = {{"1M", 1e6}};
  truth.seeds = 1;
  truth.documents = 20;
  ReportOptions options;
  options.bootstrap_pairs = options.bootstrap_fits = 20;
  const Report report = analyse(fixture::collection_of(fixture::sweep_logs(truth)), options);
  CHECK(probes_table(report).rows.empty());
  for (const Table& table : all_tables(report)) CHECK(table.key != "probes");
}
