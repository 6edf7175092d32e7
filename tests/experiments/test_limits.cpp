// How small and how large a model and its context may be.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>

#include "data/prepare.hpp"
#include "tests/experiments/config_refusal.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/experiments/trained.hpp"

namespace metascale {
namespace {

using testing::any_architecture, testing::RunsFolder, testing::small_model, testing::trained;

TEST_CASE("a model of one layer and one head trains") {
  const RunsFolder runs;
  RunConfig config = runs.config("run", any_architecture());
  CAPTURE(name_of(config.model.architecture));
  config.model.layers = 1;
  config.model.width = config.model.head_size = 16;
  const RunLog log = trained(runs, config).log;
  REQUIRE(log.steps.size() == 24);
  CHECK(log.steps.back().loss < 0.9 * log.steps.front().loss);
}

TEST_CASE("a model of no layers, channels, heads' channels, neurons or ids is refused by its key") {
  const RunsFolder runs;
  const auto [key, value] = GENERATE(table<const char*, const char*>({{"layers", "2"},
                                                                      {"width", "32"},
                                                                      {"head_size", "16"},
                                                                      {"feed_forward", "64"},
                                                                      {"vocabulary", "257"}}));
  CAPTURE(key);
  CHECK_THAT(testing::refusal_of(runs.config("run"), concat("  ", key, ": ", value, "\n"),
                                 concat("  ", key, ": 0\n")),
             Catch::Contains(concat("model.", key, ": '0' is out of range")));
}

TEST_CASE("with 262,144 ids a fresh model's mean loss is their logarithm") {
  ModelConfig model = small_model(Architecture::transformer);
  model.vocabulary = 262'144;
  ParameterList list;
  Program program(model, {.rows = 1, .context = 16}, list);
  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  initialise(list, memory, 7);
  program.allocate(Device::cpu, memory);
  testing::fill_inputs(program);
  Queue queue;
  program.execute(queue);
  double mean = 0;
  for (const double loss : testing::losses_of(program)) mean += loss / 16;
  // Logits have variance 0.4: half of it more, and what 16 targets scatter.
  CHECK(mean == Approx(std::log(262'144.0)).epsilon(0.05));
}

std::size_t planned_bytes(const ModelConfig& model, std::int64_t context) {
  ParameterList list;
  return Program(model, {.rows = 1, .context = context}, list).tape().planned_bytes();
}

TEST_CASE("the logits of 262,144 ids never exist whole") {
  ModelConfig model = small_model(any_architecture());
  CAPTURE(name_of(model.architecture));
  model.vocabulary = 262'144;
  const std::size_t whole = std::size_t(8192) * 262'144 * sizeof(float);
  CHECK(planned_bytes(model, 8192) < whole / 8);
}

TEST_CASE("the memory of a step grows with the context no faster than the context") {
  const ModelConfig model = small_model(any_architecture());
  CAPTURE(name_of(model.architecture));
  CHECK(double(planned_bytes(model, 100'000)) < 10.1 * double(planned_bytes(model, 10'000)));
}

TEST_CASE("a window of 100,000 tokens is trained on and evaluated", "[.slow]") {
  const RunsFolder runs;
  std::ofstream(runs.path() / "text/train.jsonl") << testing::tiny_documents(250'000, 1);
  prepare({.source = runs.path() / "text", .out = runs.path() / "long"}, *make_tokenizer("bytes"));
  // A Transformer's 10^10 pairs of positions take minutes.
  RunConfig config = runs.config("run", GENERATE(Architecture::rwkv7, Architecture::meta_state));
  CAPTURE(name_of(config.model.architecture));
  config.model.layers = 1;
  config.model.width = config.model.head_size = 16;
  config.data.train = runs.path() / "long/train";
  config.training.steps = 1;
  config.training.schedule.warmup_steps = 0;
  config.training.context = config.training.batch_tokens = 100'000;
  config.training.micro_batch = 1;
  config.evaluation.every_steps = 0;
  const RunLog log = trained(runs, config).log;
  REQUIRE(log.steps.size() == 1);
  CHECK(log.steps[0].loss == Approx(std::log(257)).epsilon(0.1));
  REQUIRE(log.evaluations.size() == 1);
  CHECK(std::isfinite(log.evaluations[0].loss()));
}

}  // namespace
}  // namespace metascale
