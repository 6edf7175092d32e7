// metascale probe: a trained model is asked again, at its own lengths and loads and at others.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

fs::path trained(const RunsFolder& runs, const ProbeSettings& probe, std::int64_t context) {
  RunConfig run = runs.config("model");
  run.data = {.name = "probes", .tokenizer = "none", .probe = probe};
  run.model.vocabulary = vocabulary_of(probe);
  run.training.context = context;
  return testing::trained(runs, run);
}

Ended probed(const RunsFolder& runs, const fs::path& run, const Words& more) {
  Words words{"probe", run};
  words.insert(words.end(), more.begin(), more.end());
  return call_program(runs.path(), words);
}

json json_of(const Ended& ended) {
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return json::parse(ended.text.substr(ended.text.find("{\"")));
}

const ProbeSettings parity{
    .config = {.task = ProbeTask::parity}, .test_lengths = {16}, .examples = 40};
const ProbeSettings recall{.config = {.task = ProbeTask::mqar, .vocabulary = 64, .pairs = 2},
                           .examples = 20};

TEST_CASE("probe gives the answers of the run's final test again, at every length and distance") {
  const RunsFolder runs;
  const fs::path run = trained(runs, parity, 4);
  const Evaluation logged = testing::outcome_of(run).log.evaluations.back();
  const json words = json_of(probed(runs, run, {"--json"}));
  CHECK(words["probe"] == "task=parity");
  CHECK(words["trained_length"] == 4);
  CHECK(words["split"] == logged.split);
  CHECK(words["uniform_guess"] == 0.5);
  REQUIRE(words["distances"].size() == logged.probes.size());
  for (std::size_t i = 0; i < logged.probes.size(); ++i) {
    const json& row = words["distances"][i];
    CHECK(row["length"] == logged.probes[i].length);
    CHECK(row["last"] == logged.probes[i].last);
    CHECK(row["scored"] == logged.probes[i].scored);
    CHECK(row["correct"] == logged.probes[i].correct);
    CHECK(row["solved"] == logged.probes[i].solved);
    CHECK(row["nats"].get<double>() == Approx(logged.probes[i].nats));
  }
  REQUIRE(words["lengths"].size() == 2);
  CHECK(words["lengths"][1]["length"] == 16);
  CHECK(words["lengths"][1]["scored"] == 16 * 40);
  const Ended table = probed(runs, run, {"--distances"});
  CHECK(table.code == 0);
  CHECK_THAT(table.text, Contains("tokens, uniform guess 0.5000") && !Contains("chance") &&
                             Contains("without a mistake") && Contains("  trained\n") &&
                             Contains("8 - 15"));
}

TEST_CASE("probe asks at lengths that the run was not tested at") {
  const RunsFolder runs;
  const fs::path run = trained(runs, parity, 4);
  const json words =
      json_of(probed(runs, run, {"--test-lengths", "64,8,8", "--examples", "30", "--json"}));
  REQUIRE(words["lengths"].size() == 2);
  CHECK(words["lengths"][0]["length"] == 8);
  CHECK(words["lengths"][0]["scored"] == 8 * 30);
  CHECK(words["lengths"][1]["length"] == 64);
  CHECK(words["lengths"][1]["scored"] == 64 * 30);
  CHECK(words["lengths"][1]["examples"] == 30);
}

TEST_CASE("probe asks with more to remember, and refuses what would change the meaning of ids") {
  const RunsFolder runs;
  const fs::path run = trained(runs, recall, 16);
  const json words = json_of(probed(runs, run, {"--set", "pairs=3", "--json"}));
  CHECK(words["lengths"][0]["scored"] == 3 * 20);
  CHECK_THAT(words["probe"].get<std::string>(), Contains("pairs=3"));
  const auto refusal = [&](const Words& more) {
    const Ended ended = probed(runs, run, more);
    CHECK(ended.code == 2);
    return ended.text;
  };
  CHECK_THAT(refusal({"--set", "vocabulary=32"}), Contains("'vocabulary' is no load"));
  CHECK_THAT(refusal({"--set", "task=s5"}), Contains("'task' is no load"));
  CHECK_THAT(refusal({"--set", "items=3"}), Contains("items"));
  CHECK_THAT(refusal({"--set", "pairs=many"}), Contains("--set pairs=many") && Contains("many"));
  CHECK_THAT(refusal({"--set", "pairs=30"}), Contains("probe mqar"));
  CHECK_THAT(refusal({"--test-lengths", "0"}), Contains("--test-lengths"));
}

TEST_CASE("probe refuses a model that was trained on text") {
  const RunsFolder runs;
  const fs::path run = runs.write(runs.config("text"));
  REQUIRE(call_program(runs.path(), {"train", run}).code == 0);
  const Ended ended = probed(runs, run, {});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("not on a probe"));
}

}  // namespace
}  // namespace metascale
