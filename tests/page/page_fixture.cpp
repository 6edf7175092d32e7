// Writes a report on made-up runs, for the browser's test and to be looked at:
//   metascale_page_fixture FOLDER [steps [runs [figures]]]
//   metascale_page_fixture FOLDER isoflop|laws|probes|depths|lineage|crowded [figures]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>

#include "analysis/report.hpp"
#include "tests/support/isoflop_fixture.hpp"
#include "tests/support/law_fixture.hpp"
#include "tests/support/probe_fixture.hpp"

using namespace metascale;

namespace {

fixture::SweepTruth study(int steps) {
  fixture::SweepTruth truth;
  truth.name = "made-up study";
  truth.arms = {{"transformer", "transformer", 0, 0}, {"meta_state", "meta_state", 0.018, 0.004}};
  truth.sizes = {{"1M", 1e6},  {"3M", 3e6},    {"8M", 8e6},
                 {"20M", 2e7}, {"55M", 5.5e7}, {"150M", 1.5e8}};
  truth.seeds = 2;
  truth.lengths = {"1xC"};
  truth.steps = steps;
  return truth;
}

// 24 runs; one failed, one goes on, one has a step that is not finite, one grew out of another.
std::vector<RunLog> logs_of(int steps) {
  std::vector<RunLog> logs = fixture::sweep_logs(study(steps));
  logs[2].facts["status"] = "failed";
  logs[2].events.push_back({.kind = "failed", .message = "the loss is not finite at step 42"});
  logs[4].facts["status"] = "running", logs[4].evaluations.pop_back();
  logs[4].steps.resize(logs[4].steps.size() / 2);
  logs[7].steps[10].loss = std::numeric_limits<double>::quiet_NaN();
  for (RunLog& log : logs) log.facts["activation_bytes"] = "86843392";
  logs[20].facts["parent"] = logs[12].run_id;
  logs[20].facts["parent_step"] = std::to_string(steps);
  logs[20].facts["lineage"] = logs[12].run_id + " to step " + std::to_string(steps);
  return logs;
}

// Eight sizes of two arms, each at two lengths.
std::vector<RunLog> crowded_logs() {
  fixture::SweepTruth truth = study(60);
  truth.sizes.insert(truth.sizes.end(), {{"400M", 4e8}, {"1B", 1e9}});
  truth.seeds = 1, truth.documents = 12, truth.lengths = {"1xC", "1xC.added"};
  return fixture::sweep_logs(truth);
}

struct Study {
  const char* name;
  std::function<std::vector<RunLog>()> logs;
};
std::vector<Study> studies() {
  return {{"isoflop", [] { return fixture::logs_of(fixture::Grid{.seeds = 2, .noise = 0.001}); }},
          {"laws", [] { return fixture::logs_of(fixture::LawGrid{}); }},
          {"probes", [] { return fixture::probe_logs(); }},
          {"depths", [] { return fixture::depth_logs(); }},
          {"lineage", fixture::lineage_logs},
          {"crowded", crowded_logs}};
}

int write(std::vector<RunLog> logs, const ReportOptions& options) {
  const ReportResult result = write_report(fixture::collection_of(std::move(logs)), options);
  std::printf("%s\n", result.page.c_str());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2 || words[1][0] == '-') {
    std::fprintf(stderr,
                 "usage: metascale_page_fixture FOLDER [steps [runs [figures]] | "
                 "isoflop|laws|probes|depths|lineage|crowded [figures]]\n");
    return 2;
  }
  ReportOptions options{
      .output = words[1], .bootstrap_pairs = 1000, .bootstrap_fits = 200, .threads = 2};
  const std::string study = count > 2 ? words[2] : "";
  if (study == "isoflop" || study == "laws" || study == "crowded") {  // many runs
    options.isoflop = study == "isoflop", options.fit_starts = 60;
    options.bootstrap_pairs = options.bootstrap_fits = 50;
  }
  for (const auto& [name, logs] : studies())
    if (study == name) {
      options.figures = count > 3;
      return write(logs(), options);
    }
  options.figures = count > 4;
  const int steps = count > 2 ? std::atoi(words[2]) : 400;
  std::vector<RunLog> logs = logs_of(steps);
  if (count > 3) logs.resize(std::min(logs.size(), std::size_t(std::atoi(words[3]))));
  return write(std::move(logs), options);
}
