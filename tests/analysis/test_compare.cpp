#include <catch2/catch.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "analysis/compare.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

struct Two {
  RunLog first, second;
};
Two two_logs() {
  fixture::SweepTruth truth;
  truth.steps = 20, truth.documents = 60;
  return {fixture::run_log(truth, truth.arms[0], truth.sizes[4], "1xC", 1),
          fixture::run_log(truth, truth.arms[2], truth.sizes[4], "1xC", 1)};
}
CompareResult compare_with(Two logs, CompareOptions options) {
  options.paired.draws = 1000;
  return compare(summarise(std::move(logs.first), {}), summarise(std::move(logs.second), {}),
                 options);
}

}  // namespace

TEST_CASE("an assertion that holds exits well, its opposite does not") {
  CHECK(compare_with(two_logs(), {.assertion = "meta_state < transformer"}).exit_code() ==
        ExitCode::good);
  CHECK(compare_with(two_logs(), {.assertion = "transformer > meta_state"}).exit_code() ==
        ExitCode::good);
  CHECK(compare_with(two_logs(), {.assertion = "transformer < meta_state"}).exit_code() ==
        ExitCode::assertion);
}

TEST_CASE("an assertion that cannot be read is a usage error") {
  const std::string assertion = GENERATE("meta_state", "meta_state = transformer", "a < b",
                                         "meta_state < meta_state", "meta_state < transformer !");
  CHECK_THROWS_AS(compare_with(two_logs(), {.assertion = assertion}), Error);
}

TEST_CASE("runs that do not match are not compared") {
  Two logs = two_logs();
  logs.second.facts["tokenizer"] = "20B";
  const CompareResult result = compare_with(std::move(logs), {});
  CHECK(result.exit_code() == ExitCode::assertion);
  CHECK_THAT(result.text(), Catch::Contains("not comparable: tokenizer differs"));
  CHECK(nlohmann::json::parse(result.json())["comparable"] == false);
}

TEST_CASE("a comparison says what was scored, and with which tokenizer") {
  Two logs = two_logs();
  for (RunLog* log : {&logs.first, &logs.second}) {
    log->facts["tokenizer"] = "bytes v1: ids 0-255 are bytes, 256 ends a document";
    log->evaluations.back().coverage = "64 of 8755 windows";
  }
  const std::string words = "test, packed_windows, 64 of 8755 windows, tokenizer bytes v1";
  const CompareResult result = compare_with(logs, {});
  CHECK_THAT(result.text(), Catch::Contains("scored      " + words + "\n"));
  CHECK(nlohmann::json::parse(result.json())["scored"] == words);
  logs.first.facts["status"] = "running";
  logs.first.evaluations.resize(6);
  CHECK_THAT(compare_with(logs, {.trim_to_shortest = true}).text(),
             Catch::Contains("validation, packed_windows, all of it, tokenizer bytes v1"));
}

TEST_CASE("a path that is not there is an error of usage, which names it") {
  try {
    compare("no-such-run", "another", {});
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    CHECK_THAT(error.what(), Catch::StartsWith("no-such-run: there is no such"));
  }
}

TEST_CASE("runs that still go are compared at their last common evaluation") {
  Two logs = two_logs();
  logs.first.facts["status"] = "running";
  logs.first.evaluations.resize(6);
  CHECK(compare_with(logs, {}).exit_code() == ExitCode::assertion);
  const CompareResult result = compare_with(logs, {.trim_to_shortest = true});
  CHECK(result.exit_code() == ExitCode::good);
  CHECK(result.step == 12);
  CHECK_FALSE(result.has_interval);
}

TEST_CASE("an assertion about which nothing can be said is not decided, and exits with 4") {
  Two logs = two_logs();
  logs.first.facts["status"] = "running";
  logs.first.evaluations.resize(6);
  const CompareResult trimmed =
      compare_with(logs, {.assertion = "meta_state < transformer", .trim_to_shortest = true});
  CHECK(trimmed.exit_code() == ExitCode::assertion);
  CHECK_THAT(trimmed.text(), Catch::Contains("meta_state < transformer: is not decided"));
  CHECK(nlohmann::json::parse(trimmed.json())["decided"] == false);
  Two unlike = two_logs();
  unlike.second.facts["tokenizer"] = "20B";
  CHECK_THAT(compare_with(unlike, {.assertion = "meta_state < transformer"}).text(),
             Catch::Contains("is not decided"));
  CHECK_THAT(compare_with(two_logs(), {.assertion = "transformer < meta_state"}).text(),
             Catch::Contains("does not hold"));
}

TEST_CASE("single runs are compared with an assumed seed noise, and this is said") {
  const CompareResult result = compare_with(two_logs(), {});
  CHECK_THAT(result.text(), Catch::Contains("assumed: 0.35 % of the loss for one run"));
  const auto json = nlohmann::json::parse(result.json());
  CHECK(json["documents"] == result.result.documents);
  CHECK(json["assumed_seed_noise"] == true);
}

TEST_CASE("runs that still go are held to the matching key, to their tokens and to their order") {
  const auto reasons_after = [](const std::function<void(RunLog&)>& change) {
    Two logs = two_logs();
    logs.first.facts["status"] = "running";
    logs.first.evaluations.resize(6);
    change(logs.second);
    const CompareResult result = compare_with(std::move(logs), {.trim_to_shortest = true});
    CHECK(result.exit_code() == ExitCode::assertion);
    REQUIRE(result.reasons.size() == 1);
    return result.reasons[0];
  };
  CHECK_THAT(reasons_after([](RunLog& log) { log.facts["tokenizer"] = "20B"; }),
             Catch::StartsWith("tokenizer differs"));
  CHECK_THAT(reasons_after([](RunLog& log) { log.steps[11].tokens += 1; }),
             Catch::Contains("tokens by step 12"));
  CHECK_THAT(reasons_after([](RunLog& log) { log.steps[11].digest ^= 1; }),
             Catch::Contains("another order, by step 12"));
}
