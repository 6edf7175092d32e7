// The sweep files that the project ships: each resolves without data, and says what it promises.
#include <filesystem>

#include "tests/sweeps/definitions.hpp"

using namespace metascale;

namespace {

Resolution resolved(const std::string& name) {
  return resolve(read_definition(std::string(METASCALE_SOURCE) + "/sweeps/" + name));
}

}  // namespace

TEST_CASE("sweep files: all of them resolve with no data on disk") {
  int count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(METASCALE_SOURCE) + "/sweeps")) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    CAPTURE(entry.path().string());
    const Resolution resolution = resolve(read_definition(entry.path()));
    CHECK(resolution.runs.size() >= 4);
    for (const PlannedRun& run : resolution.runs)
      CHECK_NOTHROW(parse_run_config(to_yaml(run.config), run.config.id));
    for (const PairMismatch& pair : resolution.pairs) CHECK(std::abs(pair.mismatch) <= 0.01);
  }
  CHECK(count >= 5);
}

TEST_CASE("sweep files: the paper's study has the table's parameters and FLOPs") {
  std::map<std::string, std::map<std::string, std::int64_t>> parameters;
  std::map<std::string, double> flops;
  for (const PlannedRun& run : resolved("pile.yaml").runs) {
    parameters[run.config.size][run.config.arm] = run.counts.parameters;
    if (run.config.size == "150M") flops[run.config.arm] = run.counts.flops_per_token;
  }
  const std::map<std::string, std::map<std::string, std::int64_t>> expected{
      {"150M", {{"transformer", 150518784}, {"rwkv7", 149943552}, {"meta_state", 149952768}}},
      {"450M", {{"transformer", 449395712}, {"rwkv7", 450964480}, {"meta_state", 450989056}}},
      {"900M", {{"transformer", 900071936}, {"rwkv7", 900099840}, {"meta_state", 900140800}}},
      {"1.5B", {{"transformer", 1500203520}, {"rwkv7", 1500307968}, {"meta_state", 1500369408}}}};
  CHECK(parameters == expected);
  CHECK(flops["transformer"] == Approx(783.9e6).epsilon(1e-3));
  CHECK(flops["rwkv7"] == Approx(682.7e6).epsilon(1e-3));
  CHECK(flops["meta_state"] == Approx(695.1e6).epsilon(1e-3));
}

TEST_CASE("sweep files: the 1M study is the one behind the defaults") {
  for (const PlannedRun& run : resolved("study-1m.yaml").runs) {
    const RunConfig& config = run.config;
    CHECK(config.training.steps == 600);
    CHECK(config.training.batch_tokens == 1024);
    CHECK(config.training.context == 256);
    CHECK(config.training.optimizer.learning_rate == 4e-3);
    CHECK(config.training.optimizer.beta2 == 0.99);
    if (config.arm != "transformer") CHECK(config.model.feed_forward == 512);
    CHECK(double(run.counts.parameters) == Approx(1.018e6).epsilon(1e-3));
  }
}

TEST_CASE("sweep files: the small ladder reads at most one epoch of the full corpus") {
  for (const PlannedRun& run : resolved("small-ladder.yaml").runs) CHECK(run.tokens < 130e6);
}

TEST_CASE("sweep files: the quick sweep compares three architectures at three sizes") {
  const Resolution resolution = resolved("quick.yaml");
  CHECK(resolution.runs.size() == 9);
  CHECK(resolution.pairs.size() == 9);
}
