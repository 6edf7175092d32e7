#include <catch2/catch.hpp>
#include <cmath>

#include "analysis/published.hpp"
#include "core/error.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

Report report_with(const std::string& tokenizer, const std::string& split) {
  fixture::SweepTruth truth;
  truth.sizes.resize(1), truth.seeds = 1, truth.steps = 5, truth.documents = 12;
  std::vector<RunLog> logs = fixture::sweep_logs(truth);
  for (RunLog& log : logs) {
    log.facts["tokenizer"] = tokenizer, log.facts["data_name"] = "pile";
    log.evaluations.back().split = split;
  }
  return analyse(fixture::collection_of(std::move(logs)),
                 {.bootstrap_pairs = 50, .bootstrap_fits = 10, .figures = false});
}

}  // namespace

TEST_CASE("every published figure has its source, and the outlier is marked unsafe") {
  int unsafe = 0;
  for (const PublishedResult& result : published_results()) {
    CHECK_FALSE(result.source.empty());
    CHECK_FALSE(result.protocol.empty());
    unsafe += result.unsafe.empty() ? 0 : 1;
    if (result.model == "Pythia-160M" && std::abs(result.loss - std::log(29.64)) < 1e-9)
      CHECK_FALSE(result.unsafe.empty());
  }
  CHECK(unsafe == 1);
}

TEST_CASE("published figures are drawn only where tokenizer, data and split agree") {
  CHECK(comparable_results(report_with("bytes", "validation")).empty());
  const auto found = comparable_results(report_with("20B_tokenizer.json", "validation"));
  REQUIRE_FALSE(found.empty());
  for (const PublishedResult& result : found) {
    CHECK(result.split == "validation");
    CHECK(result.loss < 2.5);
  }
}

TEST_CASE("a published figure of another data set, protocol or unit is not drawn") {
  const Report report = report_with("20B_tokenizer.json", "validation");
  PublishedResult ours = comparable_results(report).front();
  const auto is_drawn = [&](const PublishedResult& result) {
    return !comparable_results(report, {result}).empty();
  };
  ours.protocol = "packed_windows";
  CHECK(is_drawn(ours));
  PublishedResult other = ours;
  other.protocol = "rolling_documents";
  CHECK_FALSE(is_drawn(other));
  other = ours, other.data = "c4";
  CHECK_FALSE(is_drawn(other));
  const auto in_bytes = parse_published(
      "results:\n  - {model: a, parameters: 1e6, value: 1, unit: bits_per_byte, tokenizer: "
      "20B_tokenizer, data: pile, split: validation, protocol: packed_windows, source: s}\n",
      "p.yaml");
  CHECK_FALSE(is_drawn(in_bytes.front()));
}

TEST_CASE("a published figure without a unit is refused with its line") {
  CHECK_THROWS_WITH(
      parse_published("results:\n  - {model: a, parameters: 1, value: 2}\n", "p.yaml"),
      Catch::Contains("p.yaml:2") && Catch::Contains("unit"));
}
