// A model that came in grows, and both it and what grew of it train on.
#include <algorithm>
#include <catch2/catch.hpp>

#include "experiments/exchange.hpp"
#include "experiments/generation.hpp"
#include "experiments/grown_checkpoint.hpp"
#include "experiments/models/model.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/golden_model.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

const fs::path golden = fs::path(METASCALE_GOLDEN) / "exchange";

const GrowOptions all_larger{.request = {.parameter_tokens = {.factor = 2},
                                         .heads = {.factor = 2},
                                         .layers = {.factor = 2}}};

std::vector<double> logits_of(const fs::path& run_folder) {
  LoadedModel model = load_model(find_model(run_folder), Dtype::f32);
  Generator generator(model, 1);
  for (std::int32_t token = 1; token < 12; ++token) generator.read(token);
  return generator.logits();
}

// An exported run that came back, and what grew of it, among the runs of a folder.
struct Imported {
  testing::RunsFolder runs;
  RunConfig parent = runs.config("parent", Architecture::meta_state);

  Imported() {
    REQUIRE(train(runs.write(parent), {}) == ExitCode::good);
    export_model(find_model(runs.run("parent")), ExchangeFormat::meta_state, runs.path() / "out");
    import_model(runs.path() / "out", runs.run("import"), {});
  }
  // What a user writes into its config.yaml: data, steps and batches. The import itself has no
  // match.
  void set_training(const std::string& id) const {
    RunConfig run = read_run_config(runs.run(id) / "config.yaml");
    if (id == "import") run.match = parent.match;
    run.data = parent.data;
    run.training = parent.training;
    run.training.steps = 12;
    run.evaluation = parent.evaluation;
    runs.write(run);
  }
};

TEST_CASE("a model that other programs made grows, with its logits") {
  const std::string name = GENERATE("gpt_neox", "llama", "rwkv7", "fla");
  CAPTURE(name);
  const testing::TemporaryFolder folder;
  import_model(name == "rwkv7" ? golden / name / "model.safetensors" : golden / name,
               folder / "published", {});
  const StoredModel published = find_model(folder / "published");
  const RunConfig run = grown_run(published, all_larger, "grown");
  write_grown_run(published, run, folder / "grown");
  const StoredModel grown = find_model(folder / "grown");
  CHECK(grown.step == 0);
  CHECK(grown.run.model.layers == 2 * published.run.model.layers);
  CHECK(grown.run.model.feed_forward == 2 * published.run.model.feed_forward);
  REQUIRE(grown.run.lineage.size() == 1);
  CHECK(grown.run.lineage[0].run == "published");
  CHECK(grown.run.lineage[0].step == 0);
  CHECK(grown.run.parent.run == "published");
  CHECK(testing::relative_error(logits_of(folder / "grown"), logits_of(folder / "published")) <
        1e-5);  // f32
}

TEST_CASE("a grown import trains from where the import stands, with moments of 0") {
  const Imported imported;
  const testing::RunsFolder& runs = imported.runs;
  const StoredModel import = find_model(runs.run("import"));
  write_grown_run(import, grown_run(import, all_larger, "grown"), runs.run("grown"));
  const RunConfig run = find_model(runs.run("grown")).run;
  const ParameterList list = parameters_of(run.model);
  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  Checkpoints(runs.run("grown"), run.model).load(0, list, memory);
  for (const Buffer* moments : {&memory.m, &memory.v})
    CHECK(std::all_of(moments->data(), moments->data() + moments->bytes(),
                      [](std::byte value) { return value == std::byte(0); }));
  for (const char* id : {"import", "grown"}) imported.set_training(id);
  REQUIRE(train(runs.run("import"), {}) == ExitCode::good);
  TrainHooks hooks;
  hooks.stop = [left = 5]() mutable { return --left > 0 ? StopRequest::none : StopRequest::save; };
  REQUIRE(train(runs.run("grown"), hooks) == ExitCode::saved);
  REQUIRE(train(runs.run("grown"), {}) == ExitCode::good);
  const RunLog plain = testing::outcome_of(runs.run("import")).log;
  const RunLog grown = testing::outcome_of(runs.run("grown")).log;
  REQUIRE(plain.steps.size() == 12);
  REQUIRE(grown.steps.size() == 12);
  CHECK(grown.steps[0].digest == plain.steps[0].digest);
  CHECK(grown.steps[0].loss == Approx(plain.steps[0].loss).epsilon(1e-4));  // f32
  CHECK(grown.facts.at("lineage") == "import to step 0, grown");
  CHECK(grown.facts.at("lineage_tokens") == "0");
  CHECK(grown.facts.at("schedule") == "of grown alone");
  CHECK(grown.facts.at("data_digest") == plain.facts.at("data_digest"));
}

TEST_CASE("a run that has seen tokens keeps to its data, though an import may have any") {
  const Imported imported;
  const testing::RunsFolder& runs = imported.runs;
  imported.set_training("import");
  TrainHooks hooks;
  hooks.stop = [left = 5]() mutable { return --left > 0 ? StopRequest::none : StopRequest::save; };
  REQUIRE(train(runs.run("import"), hooks) == ExitCode::saved);
  RunConfig other = read_run_config(runs.run("import") / "config.yaml");
  other.data.train = runs.tokens("validation");
  runs.write(other);
  CHECK_THROWS_WITH(train(runs.run("import"), {}),
                    Catch::Contains("not the tokens that this run was trained on so far"));
}

TEST_CASE("what grows at step 0 has no learning rate of its own, and says so") {
  const testing::TemporaryFolder folder;
  import_model(golden / "llama", folder / "published", {});
  GrowOptions options = all_larger;
  options.new_learning_rate = 2;
  CHECK_THROWS_WITH(grown_run(find_model(folder / "published"), options, "grown"),
                    Catch::Contains("leave --new-learning-rate"));
}

TEST_CASE("where new blocks go is not said of a growth without new blocks") {
  const testing::TemporaryFolder folder;
  import_model(golden / "llama", folder / "published", {});
  const GrowOptions options{.request = {.heads = {.factor = 2}}, .insert_after = {0}};
  CHECK_THROWS_WITH(grown_run(find_model(folder / "published"), options, "grown"),
                    Catch::Contains("--insert-after: 0 says where new blocks go"));
}

}  // namespace
}  // namespace metascale
