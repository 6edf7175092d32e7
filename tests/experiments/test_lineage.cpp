// A run that grew out of another: what it inherits, and what its log says.
#include <catch2/catch.hpp>

#include "experiments/birth.hpp"
#include "experiments/growth_request.hpp"
#include "experiments/lineage.hpp"
#include "experiments/plan.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using testing::RunsFolder;

constexpr std::int64_t parent_steps = 24, batch_tokens = 256;

// 12 more steps of a model with more tokens, heads and layers.
RunConfig grown_config(const RunConfig& parent, const std::string& id,
                       const GrowthRequest& request = {.parameter_tokens = {.factor = 2},
                                                       .heads = {.factor = 2},
                                                       .layers = {.extent = 3}}) {
  RunConfig run = parent;
  run.id = id;
  run.model = grown_model(parent.model, request);
  run.lineage.push_back(
      ancestor_of(parent, parent.training.steps,
                  even_insertion(parent.model.layers, run.model.layers - parent.model.layers)));
  run.parent = {.run = parent.id, .step = parent.training.steps};
  run.training.schedule.first_step = parent.training.steps;
  run.training.steps = parent.training.steps + 12;
  return run;
}

TEST_CASE("the loss of a grown run goes on where its parent's would, without a jump") {
  const RunsFolder runs;
  const auto architecture = GENERATE(Architecture::transformer, Architecture::transformer_pp,
                                     Architecture::rwkv7, Architecture::meta_state);
  CAPTURE(name_of(architecture));
  const RunConfig parent = runs.config("parent", architecture);
  REQUIRE(train(runs.write(parent), {}) == ExitCode::good);
  RunConfig longer = runs.config("longer", architecture);  // the parent, twelve steps more
  longer.training.steps = 36;
  longer.parent = {.run = "parent", .step = 24};
  REQUIRE(train(runs.write(longer), {}) == ExitCode::good);
  REQUIRE(train(runs.write(grown_config(parent, "grown")), {}) == ExitCode::good);
  const auto grown = testing::outcome_of(runs.run("grown")).log;
  const auto plain = testing::outcome_of(runs.run("longer")).log;
  REQUIRE(grown.steps.size() == 12);
  CHECK(grown.steps[0].step == 25);
  CHECK(grown.steps[0].digest == plain.steps[0].digest);                    // the same batch
  CHECK(grown.steps[0].loss == Approx(plain.steps[0].loss).epsilon(1e-4));  // f32
  CHECK(grown.steps[0].learning_rate < grown.steps[1].learning_rate);       // warms up anew
  CHECK(grown.steps[11].learning_rate == Approx(parent.training.optimizer.final_learning_rate));
  for (const auto& row : grown.steps) CHECK(row.loss < 1.3 * grown.steps[0].loss);
}

TEST_CASE("a grown run that is stopped and started again equals one that was not, bit for bit") {
  const RunsFolder runs;
  const RunConfig parent = runs.config("parent", Architecture::meta_state);
  REQUIRE(train(runs.write(parent), {}) == ExitCode::good);
  const auto folder = runs.write(grown_config(parent, "stopped"));
  TrainHooks hooks;
  hooks.stop = [left = 5]() mutable { return --left > 0 ? StopRequest::none : StopRequest::save; };
  REQUIRE(train(folder, hooks) == ExitCode::saved);
  REQUIRE(train(folder, {}) == ExitCode::good);
  REQUIRE(train(runs.write(grown_config(parent, "undisturbed")), {}) == ExitCode::good);
  testing::expect_equal_bits(testing::outcome_of(runs.run("undisturbed")),
                             testing::outcome_of(folder));
}

TEST_CASE("the log of a grown run names its parent and counts the compute of the whole lineage") {
  const RunsFolder runs;
  const RunConfig parent = runs.config("parent", Architecture::meta_state);
  REQUIRE(train(runs.write(parent), {}) == ExitCode::good);
  const RunConfig child = grown_config(parent, "child");
  REQUIRE(train(runs.write(child), {}) == ExitCode::good);
  const RunConfig grandchild = grown_config(child, "grandchild", {.heads = {.extent = 5}});
  REQUIRE(train(runs.write(grandchild), {}) == ExitCode::good);
  const RunLog log = testing::outcome_of(runs.run("grandchild")).log;
  CHECK(log.facts.at("parent") == "child");
  CHECK(log.facts.at("lineage") == "parent to step 24, child to step 36, grandchild");
  CHECK(log.facts.at("lineage_tokens") == std::to_string(36 * batch_tokens));
  const auto flops = [](const RunConfig& run) {
    return count_model(run.model, run.training.context).flops_per_token;
  };
  const double inherited = 24.0 * batch_tokens * flops(parent) + 12.0 * batch_tokens * flops(child);
  const double own = 12.0 * batch_tokens * flops(grandchild);
  CHECK(std::stod(log.facts.at("lineage_flops")) == Approx(inherited));
  CHECK(std::stod(log.facts.at("training_flops")) == Approx(inherited + own));
  CHECK(log.steps.back().flops == Approx(inherited + own));
  CHECK(log.steps.front().flops == Approx(inherited + own / 12));
  CHECK(log.steps.back().tokens == 48 * batch_tokens);
  CHECK(testing::has_event(log, "start"));
}

TEST_CASE("a grown run keeps its parent's batch size, and says so") {
  const RunsFolder runs;
  const RunConfig parent = runs.config("parent");
  REQUIRE(train(runs.write(parent), {}) == ExitCode::good);
  RunConfig child = grown_config(parent, "child");
  child.training.batch_tokens *= 2;
  CHECK_THROWS_WITH(train(runs.write(child), {}),
                    Catch::Contains("a grown run keeps its parent's training.batch_tokens"));
}

TEST_CASE("every parameter of a lineage knows when each of its blocks was born") {
  RunConfig first;
  first.id = "a";
  first.model = {.architecture = Architecture::meta_state,
                 .layers = 2,
                 .width = 32,
                 .vocabulary = 17,
                 .head_size = 16,
                 .feed_forward = 20};
  first.training.steps = 5;
  RunConfig second = grown_config(first, "b", {.parameter_tokens = {.extent = 30}});
  second.training.steps = 9;
  const RunConfig third = grown_config(
      second, "c",
      {.parameter_tokens = {.extent = 50}, .heads = {.extent = 3}, .layers = {.extent = 3}});
  const Births births = births_of(third);
  const auto check = [&](const std::string& name, const std::vector<Generation>& wanted) {
    CAPTURE(name);
    const auto& found = births.at(name);
    REQUIRE(found.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CHECK(found[i].block == wanted[i].block);
      CHECK(found[i].birth == wanted[i].birth);
    }
  };
  check("blocks.0.ffn.key.weight", {{{20, 32}, 0}, {{30, 32}, 5}, {{50, 32}, 9}});
  check("blocks.1.att.output.weight", {{{32, 32}, 0}, {{32, 48}, 9}});
  check("blocks.2.ln1.weight", {{{32}, 9}});  // of the new block, which stands last
  CHECK_FALSE(births.contains("emb.weight"));
  CHECK_FALSE(births.contains("blocks.1.ln1.weight"));
}

TEST_CASE("equally old elements of a tensor that grew along both axes are found row by row") {
  const auto spans = age_spans({3, 4}, {{{2, 2}, 0}, {{2, 3}, 5}, {{3, 4}, 9}});
  const std::int64_t wanted[][3] = {{0, 2, 0}, {2, 1, 5}, {3, 1, 9},
                                    {4, 2, 0}, {6, 1, 5}, {7, 5, 9}};
  REQUIRE(spans.size() == std::size(wanted));
  for (std::size_t i = 0; i < spans.size(); ++i) {
    CHECK(spans[i].begin == wanted[i][0]);
    CHECK(spans[i].count == wanted[i][1]);
    CHECK(spans[i].birth == wanted[i][2]);
  }
}

}  // namespace
}  // namespace metascale
