#include <catch2/catch.hpp>

#include "analysis/match.hpp"
#include "core/match_key.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

fixture::SweepTruth small_sweep() {
  fixture::SweepTruth truth;
  truth.sizes.resize(2);
  truth.seeds = 2, truth.steps = 20, truth.documents = 12;
  return truth;
}

std::vector<std::string> mismatches_after(const std::function<void(RunLog&)>& change) {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  change(logs[4]);
  return mismatches(summarise(logs[0], {}), summarise(logs[4], {}));
}

}  // namespace

TEST_CASE("runs of one sweep are pairs, per size, with their seeds side by side") {
  const Collection collection = fixture::collection_of(fixture::sweep_logs(small_sweep()));
  const Matching matching = match(collection);
  CHECK(matching.refused.empty());
  CHECK(matching.pairs.size() == 6);  // three pairs of arms, two sizes
  for (const MatchedPair& pair : matching.pairs) {
    REQUIRE(pair.first.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(pair.first[i]->seed == pair.second[i]->seed);
      CHECK(pair.first[i]->size == pair.second[i]->size);
    }
  }
}

TEST_CASE("two runs that agree have no mismatch") {
  CHECK(mismatches_after([](RunLog&) {}).empty());
}

TEST_CASE("a fact that differs is named with both values") {
  const auto reasons = mismatches_after([](RunLog& log) { log.facts["tokenizer"] = "20B"; });
  REQUIRE(reasons.size() == 1);
  CHECK(reasons[0] == "tokenizer differs: bytes and 20B");
}

TEST_CASE("each thing that runs must agree in is checked") {
  const auto entry = GENERATE(from_range(match_key_entries));
  CHECK(mismatches_after([&](RunLog& log) {
          log.facts[std::string(entry.fact)] = "other";
        }).size() == 1);
  CHECK(mismatches_after([&](RunLog& log) { log.facts.erase(std::string(entry.fact)); }).size() ==
        1);
}

TEST_CASE("the matched quantity is compared within its tolerance") {
  const auto with_value = [](const char* value) {
    return mismatches_after([&](RunLog& log) { log.facts["match_value"] = value; }).size();
  };
  CHECK(with_value("1004000") == 0);
  CHECK(with_value("1006000") == 1);
  CHECK(with_value("many") == 1);
}

TEST_CASE("a pair knows what its matching left over, where its logs have a target") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  const auto pairs = [&] { return match(fixture::collection_of(logs)).pairs; };
  CHECK(std::isnan(pairs().at(0).residual));  // logs of before 2026-11-22
  for (RunLog& log : logs)
    log.facts["match_target"] = log.facts["size"] == "1M" ? "1001000" : "3000000";
  logs[4].facts["match_value"] = "1002001";  // the second arm at 1M, seed 1; 1M is the first's
  CHECK(pairs().at(0).residual == Approx(2001.0 / 1001000));
}

TEST_CASE("other windows, other tokens and another order are found in the logs themselves") {
  CHECK_THAT(mismatches_after([](RunLog& log) { log.evaluations.back().digest = 1; }).at(0),
             Catch::Contains("different windows"));
  CHECK_THAT(mismatches_after([](RunLog& log) { log.steps.back().digest ^= 1; }).at(0),
             Catch::Contains("running digests"));
  CHECK_THAT(mismatches_after([](RunLog& log) { log.steps.pop_back(); }).at(0),
             Catch::Contains("trained on"));
}

TEST_CASE("a run that failed or is missing leaves its partner refused with the reason") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs[4].facts["status"] = "failed";
  logs.erase(logs.begin());
  const Collection collection = fixture::collection_of(std::move(logs));
  const Matching matching = match(collection);
  std::string all;
  for (const NotComparable& entry : matching.refused)
    for (const std::string& reason : entry.reasons) all += reason + "\n";
  CHECK_THAT(all, Catch::Contains("rwkv7-1M-1xC-s1-0badcafe is failed"));
  CHECK_THAT(all, Catch::Contains("no run of transformer with seed 1"));
  for (const MatchedPair& pair : matching.pairs) CHECK_FALSE(pair.first.empty());
}

TEST_CASE("what match.identical leaves out may differ, in the logs too") {
  const auto with = [](const char* identical, const std::function<void(RunLog&)>& change) {
    return mismatches_after([&](RunLog& log) {
      log.facts["match_identical"] = identical;
      change(log);
    });
  };
  const auto shorter = [](RunLog& log) { log.steps.pop_back(); };
  CHECK(with("data_order", shorter).empty());  // both saw the same up to the last common evaluation
  CHECK_THAT(with("data_order",
                  [](RunLog& log) {
                    log.steps.pop_back();
                    log.steps[17].digest ^= 1;
                  })
                 .at(0),
             Catch::Contains("running digests"));
  CHECK(with("tokenizer", shorter).empty());
  const auto other_order = [](RunLog& log) { log.steps.back().digest ^= 1; };
  CHECK(with("tokens tokenizer", other_order).empty());
  CHECK(with("tokens data_order", other_order).size() == 1);
}

TEST_CASE("a run that is left out is refused with the reason and in no pair or cell") {
  std::vector<RunLog> logs = fixture::sweep_logs(small_sweep());
  logs.push_back(logs[4]);
  logs.back().run_id = "again";
  const Collection collection = fixture::collection_of(std::move(logs));
  const Matching matching = match(collection);
  std::size_t refused = 0;
  for (const NotComparable& entry : matching.refused)
    if (entry.second.empty()) {
      ++refused;
      CHECK_THAT(entry.reasons.at(0), Catch::Contains("is also a done run"));
    }
  CHECK(refused == 2);
  for (const MatchedPair& pair : matching.pairs)
    for (const Run* run : pair.second) CHECK(run->left_out.empty());
}
