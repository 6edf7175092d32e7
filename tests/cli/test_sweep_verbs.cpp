// What check, plan, bench, run and logs say of a sweep: budgets, selections, longer trunks, json.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

// Two arms, one seed; lengths and the rest by --set.
class Sweep {
 public:
  Sweep() {
    std::ofstream(file()) << fmt::format(
        R"(schema: 1
name: tiny
arms:
  rwkv7: {{architecture: rwkv7, rank_decay: 8, rank_rate: 8, rank_value: 8, rank_gate: 8}}
  meta_state: {{architecture: meta_state, rank_decay: 8, rank_rate: 8, rank_value: 8, rank_gate: 8}}
match: {{on: non_embedding_parameters, tolerance: 2%}}
axes:
  size: [{{name: 30k, layers: 2, width: 32, head_size: 16, target: 30k}}]
  length: [2560 tokens]
  seed: [1]
training: {{batch_tokens: 256, context: 32}}
data:
  name: tiny
  train: {}
  validation: {}
  test: {}
)",
        runs_.tokens("train").string(), runs_.tokens("validation").string(),
        runs_.tokens("test").string());
  }
  Ended call(Words verb, const Words& more = {}) const {
    verb.insert(verb.end(), {file().string(), "--results", (runs_.path() / "results").string()});
    verb.insert(verb.end(), more.begin(), more.end());
    return call_program(runs_.path(), verb);
  }
  fs::path folder() const { return runs_.path() / "results/tiny"; }
  fs::path run_of(const std::string& prefix) const {
    for (const auto& item : fs::directory_iterator(folder() / "runs"))
      if (item.path().filename().string().starts_with(prefix)) return item.path();
    FAIL("no run " << prefix);
    return {};
  }
  Ended call_outside(const Words& words) const { return call_program(runs_.path(), words); }

 private:
  fs::path file() const { return runs_.path() / "sweep.yaml"; }
  RunsFolder runs_;
};

TEST_CASE("a budget refuses plan and run with 2 once bench sweep has measured the hours") {
  const Sweep sweep;
  const Words strict{"--set", "budget={hours: 1e-9, refuse_above: true}"};
  const Ended before = sweep.call({"plan"}, strict);
  CHECK(before.code == 0);
  CHECK_THAT(before.text, Contains("what the plan needs is not known"));
  CHECK(sweep.call({"bench", "sweep"}, {"--steps", "29"}).code == 2);
  const Ended bench = sweep.call({"bench", "sweep"}, {"--steps", "30", "--json"});
  CHECK(bench.code == 0);
  CHECK(json::parse(bench.text).at("shapes").size() == 2);
  const Ended after = sweep.call({"plan"}, strict);
  CHECK(after.code == 2);
  CHECK_THAT(after.text, Contains("hours: above it") && Contains("the budget has"));
  CHECK(sweep.call({"run"}, strict).code == 2);
  CHECK_FALSE(fs::exists(sweep.folder() / "runs"));
  const Ended within = sweep.call({"plan"}, {"--set", "budget={hours: 1000, refuse_above: true}",
                                             "--set", "launch={local: {slots: 2}}"});
  CHECK(within.code == 0);
  CHECK_THAT(within.text, Contains("hours of one slot (about 0.00 with 2 slots)"));
}

TEST_CASE("check --json says what is wrong, with the same exit code") {
  const Sweep sweep;
  const Ended bad = sweep.call({"check"}, {"--json", "--set", "analysis={fits: [isoflop]}"});
  CHECK(bad.code == 2);
  CHECK(json::parse(bad.text).at("good") == false);
  CHECK_THAT(json::parse(bad.text).at("error").get<std::string>(), Contains("not built yet"));
  CHECK(json::parse(sweep.call({"check"}, {"--json"}).text).at("runs") == 2);
}

TEST_CASE("plan and run refuse a pattern that matches no run, and count only what it selects") {
  const Sweep sweep;
  for (const char* verb : {"plan", "run"})
    CHECK(sweep.call({verb}, {"--only", "rwkv8-*"}).code == 2);
  const json all = json::parse(sweep.call({"plan"}, {"--json"}).text),
             some = json::parse(sweep.call({"plan"}, {"--json", "--only", "rwkv7-*"}).text);
  CHECK(some.at("totals").at("tokens") == 2560);
  CHECK(all.at("totals").at("tokens") == 2 * 2560);
  CHECK(some.at("pairs").empty());
}

TEST_CASE("a sweep with a longer length goes on with its trunk") {
  const Sweep sweep;
  const auto lengths = [](const std::string& list) {
    return Words{"--no-report", "--json",
                 "--set",       "training.schedule={kind: wsd, warmup: 2 steps}",
                 "--set",       "axes.length=[" + list + "]"};
  };
  REQUIRE(sweep.call({"run"}, lengths("2560 tokens, 5120 tokens")).code == 0);
  const fs::path trunk = sweep.run_of("rwkv7-30k-trunk");
  CHECK(fs::exists(trunk / "checkpoints/step-0000000018"));
  const Ended longer = sweep.call({"run"}, lengths("2560 tokens, 5120 tokens, 10240 tokens"));
  CAPTURE(longer.text);
  CHECK(longer.code == 0);
  CHECK(fs::exists(trunk / "DONE"));
  CHECK(fs::exists(trunk / "checkpoints/step-0000000036"));
  CHECK(fs::exists(sweep.run_of("rwkv7-30k-10240tokens") / "DONE"));
  CHECK_FALSE(fs::exists(sweep.run_of("rwkv7-30k-5120tokens") / "attempts/0002"));
}

TEST_CASE("a finished run names other evaluation settings, and its log's last lines are shown") {
  const Sweep sweep;
  REQUIRE(sweep.call({"run"}, {"--no-report"}).code == 0);
  const Words other{"--set", "evaluation.final=3 windows"};
  CHECK_THAT(sweep.call({"plan"}, {"--diff", other[0], other[1]}).text,
             Contains("done with other evaluation settings"));
  const json changes =
      json::parse(sweep.call({"plan"}, {"--diff", "--json", other[0], other[1]}).text);
  CHECK(changes.at("evaluated_otherwise").size() == 2);
  const fs::path run = sweep.run_of("rwkv7-");
  const std::string log = read_file(run / "attempts/0001/out.log");
  const Ended last = sweep.call_outside({"logs", run.string(), "--lines", "1"});
  const std::string head = (run / "attempts/0001/out.log").string() + "\n";
  CHECK(last.text == head + log.substr(log.rfind('\n', log.size() - 2) + 1));
  CHECK(sweep.call_outside({"logs", run.string(), "--lines", "1000000"}).text == head + log);
  CHECK(sweep.call_outside({"logs", run.string(), "--lines", "0"}).code == 2);
}

}  // namespace
}  // namespace metascale
