// What check, plan, bench, run and logs say of a sweep: budgets, selections, longer trunks, json.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/units.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/tiny_sweep.hpp"

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
    write_tiny_sweep(runs_, {.other_arm = "meta_state: {architecture: meta_state, rank_decay: 8, "
                                          "rank_rate: 8, rank_value: 8, rank_gate: 8}"});
  }
  Ended call(Words verb, const Words& more = {}) const {
    verb.insert(verb.end(), {file().string(), "--results", (runs_.path() / "results").string()});
    verb.insert(verb.end(), more.begin(), more.end());
    return call_program(runs_.path(), verb);
  }
  fs::path folder() const { return runs_.path() / "results/tiny"; }
  fs::path run_of(const std::string& arm) const { return testing::run_of(folder(), arm); }
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
  CHECK(sweep.call({"bench", "sweep"}, {"--steps", "99"}).code == 2);
  const Ended bench = sweep.call({"bench", "sweep"}, {"--steps", "100", "--json"});
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

TEST_CASE("run without its corpus starts nothing and says how the corpus is made") {
  const Sweep sweep;
  const fs::path small = sweep.folder().parent_path() / "corpora/small";
  const Ended missing = sweep.call({"run"}, {"--set", "data.train=" + (small / "train").string()});
  CHECK(missing.code == 2);
  CHECK_THAT(missing.text,
             Contains("there are no token files at " + (small / "train").string()) &&
                 Contains("metascale data corpus --tier small --out " + small.string()));
  CHECK_FALSE(fs::exists(sweep.folder() / "runs"));
  const Ended own = sweep.call({"run"}, {"--set", "data.train=elsewhere/train"});
  CHECK(own.code == 2);
  CHECK_THAT(own.text, Contains("sweep.yaml:") && Contains("metascale data prepare"));
}

TEST_CASE("bench sweep measures what --set, --only and --skip leave of a sweep") {
  const Sweep sweep;
  const auto shapes = [&](const Words& more) {
    Words words{"--steps", "100", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ended bench = sweep.call({"bench", "sweep"}, words);
    INFO(bench.text);
    REQUIRE(bench.code == 0);
    std::string names;
    const json result = json::parse(bench.text);
    for (const auto& [shape, times] : result.at("shapes").items()) names += shape + ";";
    return names;
  };
  CHECK_THAT(shapes({"--only", "rwkv7-*"}), Contains("rwkv7") && !Contains("meta_state"));
  const Words strict{"--set", "budget={hours: 1e-9, refuse_above: true}"};
  CHECK(sweep.call({"plan"}, strict).code == 0);  // half of the hours are unknown
  CHECK_THAT(shapes({"--skip", "rwkv7-*"}), Contains("meta_state") && !Contains("rwkv7"));
  CHECK(sweep.call({"plan"}, strict).code == 2);  // the second half adds to the first
  const std::string whole = shapes({"--only", "rwkv7-*"}),
                    halved = shapes({"--only", "rwkv7-*", "--set", "training.context=16"});
  CHECK(whole != halved);
  const Ended idle = sweep.call({"bench", "sweep"}, {"--only", "rwkv8-*"});
  CHECK(idle.code == 2);
  CHECK_THAT(idle.text, Contains("no run of the sweep matches 'rwkv8-*'"));
}

TEST_CASE(
    "plan, run and submit refuse a run that its GPU has no room for, before anything starts") {
  const Sweep sweep;
  const Words gpu{"--set", "device=cuda", "--set", "training.micro_batch=8", "--set"};
  const auto with = [&](const std::string& memory) {
    Words words = gpu;
    words.push_back("resources={default: {gpus: 1, gpu_memory: " + memory + "}}");
    return words;
  };
  CHECK(sweep.call({"plan"}, with("1 GiB")).code == 0);
  for (const char* verb : {"plan", "run", "submit"}) {
    CAPTURE(verb);
    const Ended refused = sweep.call({verb}, with("2 MiB"));
    CHECK(refused.code == 2);
    CHECK_THAT(refused.text, Contains("training.micro_batch: 8 takes") &&
                                 Contains("(resources.gpu_memory)") && Contains(" fits"));
  }
  CHECK_FALSE(fs::exists(sweep.folder() / "runs"));
}

TEST_CASE("plan says what a run takes of a GPU all in all, and nothing of a CPU") {
  const Sweep sweep;
  const auto first_run = [&](const Words& words) {
    return json::parse(sweep.call({"plan"}, words).text).at("runs").at(0);
  };
  CHECK(first_run({"--json"}).at("device_bytes").is_null());
  CHECK_THAT(sweep.call({"plan"}, {}).text, !Contains("activations        GPU"));
  const json run = first_run({"--json", "--set", "device=cuda"});
  const double asked = run.at("parameter_bytes").get<double>() +
                       run.at("activation_bytes").get<double>(),
               all = run.at("device_bytes");
  CHECK(all - asked == 586 * 1048576.0);  // CUDA's own, assumed, and our workspaces
  CHECK_THAT(sweep.call({"plan"}, {"--set", "device=cuda"}).text,
             Contains("activations        GPU\n") && Contains(format_bytes(all) + "\n"));
}

TEST_CASE("check --json says what is wrong, with the same exit code") {
  const Sweep sweep;
  const Ended bad = sweep.call({"check"}, {"--json", "--set", "log={every: 2 steps}"});
  CHECK(bad.code == 2);
  CHECK(json::parse(bad.text).at("good") == false);
  CHECK_THAT(json::parse(bad.text).at("error").get<std::string>(), Contains("each step is logged"));
  CHECK(json::parse(sweep.call({"check"}, {"--json"}).text).at("runs") == 2);
}

TEST_CASE("report fits isoFLOP profiles where the sweep file asks for them, or says why not") {
  const Sweep sweep;
  const auto isoflop_of = [&](const std::string& fits) {
    const Words asked{"--no-report", "--set", "analysis={bootstrap: 20, fits: " + fits + "}"};
    REQUIRE(sweep.call({"run"}, asked).code == 0);
    REQUIRE(sweep.call_outside({"report", sweep.folder().string(), "--no-figures"}).code == 0);
    return json::parse(read_file(sweep.folder() / "report/fits.json")).at("isoflop");
  };
  CHECK(isoflop_of("[power]").empty());
  const json asked = isoflop_of("[power, isoflop]");
  REQUIRE(asked.size() == 4);  // two arms, by two axes
  CHECK_THAT(
      asked[0].at("no_data").get<std::string>(),
      Contains("no budget of FLOPs has 3 sizes that are done (cells of size and length: 1;"));
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
  for (const json& run : all.at("runs"))
    CHECK(run.at("executed_flops_per_token").get<double>() > run.at("flops_per_token"));
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
