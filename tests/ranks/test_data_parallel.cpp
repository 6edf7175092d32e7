// One run on several ranks: the same data, the same losses up to rounding, whatever their number.
#include <catch2/catch.hpp>

#include "experiments/trainer.hpp"
#include "tests/ranks/launched_ranks.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::expect_equal_bits, testing::has_event, testing::LaunchedRanks, testing::Outcome,
    testing::outcome_of, testing::RunsFolder, testing::trained_by;

// 50 steps of 8 windows in micro-batches of 2.
RunConfig fifty_steps(const RunsFolder& runs, const std::string& id,
                      Architecture architecture = Architecture::meta_state) {
  RunConfig config = runs.config(id, architecture);
  config.training.steps = 50;
  config.training.micro_batch = 2;
  config.training.optimizer.learning_rate = 3e-3;
  config.training.optimizer.final_learning_rate = 3e-4;
  config.evaluation = {.every_steps = 20, .windows = 11};  // no multiple of what ranks share
  config.log = {.checkpoint_every = 20, .keep = 2};
  return config;
}

Outcome trained_alone(const RunsFolder& runs, const RunConfig& config) {
  const fs::path folder = runs.write(config);
  REQUIRE(train(folder, {}) == ExitCode::good);
  return outcome_of(folder);
}

// Sums are rounded otherwise, and no more: 1e-5 relative in f32 over 50 steps.
void expect_same_losses(const RunLog& a, const RunLog& b) {
  REQUIRE(a.steps.size() == b.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    CAPTURE(i);
    REQUIRE(a.steps[i].step == b.steps[i].step);
    REQUIRE(a.steps[i].digest == b.steps[i].digest);
    REQUIRE(a.steps[i].learning_rate == b.steps[i].learning_rate);
    REQUIRE(a.steps[i].loss == Approx(b.steps[i].loss).epsilon(1e-5));
    REQUIRE(a.steps[i].gradient_norm == Approx(b.steps[i].gradient_norm).epsilon(1e-3));
  }
  REQUIRE(a.evaluations.size() == b.evaluations.size());
  for (std::size_t i = 0; i < a.evaluations.size(); ++i) {
    CHECK(a.evaluations[i].digest == b.evaluations[i].digest);
    CHECK(a.evaluations[i].tokens == b.evaluations[i].tokens);
    CHECK(a.evaluations[i].segments.size() == b.evaluations[i].segments.size());
    CHECK(a.evaluations[i].nats == Approx(b.evaluations[i].nats).epsilon(1e-5));
  }
}

TEST_CASE("1, 2 and 4 ranks train to the same losses") {
  const RunsFolder runs;
  const Architecture architecture = GENERATE(Architecture::transformer, Architecture::meta_state);
  CAPTURE(name_of(architecture));
  const Outcome one = trained_alone(runs, fifty_steps(runs, "one", architecture));
  for (const int ranks : {2, 4}) {
    CAPTURE(ranks);
    const Outcome several =
        trained_by(ranks, runs, fifty_steps(runs, "ranks-" + std::to_string(ranks), architecture));
    expect_same_losses(one.log, several.log);
    CHECK(several.log.facts.at("ranks") == std::to_string(ranks));
  }
}

TEST_CASE("ranks that cannot share a batch evenly train to the same losses too") {
  const RunsFolder runs;
  const Outcome one = trained_alone(runs, fifty_steps(runs, "one"));
  expect_same_losses(one.log, trained_by(3, runs, fifty_steps(runs, "three")).log);
}

TEST_CASE("the same number of ranks gives the same bits every time") {
  const RunsFolder runs;
  RunConfig config = fifty_steps(runs, "first", Architecture::rwkv7);
  config.training.steps = 20;
  const Outcome first = trained_by(2, runs, config);
  config.id = "second";
  expect_equal_bits(first, trained_by(2, runs, config));
}

TEST_CASE("a run saved by 4 ranks goes on with 2, and then with 1") {
  const RunsFolder runs;
  const Outcome undisturbed = trained_alone(runs, fifty_steps(runs, "undisturbed"));
  const fs::path folder = runs.write(fifty_steps(runs, "resharded"));
  for (const int ranks : {4, 2}) {
    LaunchedRanks launched(folder, ranks);
    REQUIRE(wait_for_step(launched, folder, ranks == 4 ? 5 : 25));
    launched.ask_to_save();
    const auto ended = launched.wait();
    INFO(ended.text);
    REQUIRE(ended.code == 75);
  }
  REQUIRE(train(folder, {}) == ExitCode::good);
  const Outcome resharded = outcome_of(folder);
  expect_same_losses(undisturbed.log, resharded.log);
  CHECK(has_event(resharded.log, "ranks_changed"));
  const std::string marks = resharded.log.facts.at("ranks_changed");
  CHECK_THAT(marks, Catch::Contains("4 -> 2 ranks") && Catch::Contains("2 -> 1 ranks"));
  CHECK(resharded.weights.size() == undisturbed.weights.size());
  CHECK(resharded.moments.size() == undisturbed.moments.size());
}

TEST_CASE("ranks roll back together, as one rank would") {
  const RunsFolder runs;
  const auto jumpy = [&](const std::string& id) {
    RunConfig config = fifty_steps(runs, id, Architecture::rwkv7);
    config.training.steps = 24;
    config.log.checkpoint_every = 5;
    config.training.optimizer.learning_rate = 1e-8;  // losses jump by 0.3 %, and nothing is learnt
    config.training.optimizer.final_learning_rate = 1e-9;
    config.training.spike = {.action = OnSpike::roll_back, .factor = 1.004, .window = 6};
    config.training.roll_back.most = 100;
    return config;
  };
  const Outcome one = trained_alone(runs, jumpy("one"));
  REQUIRE(has_event(one.log, "roll_back"));
  const Outcome two = trained_by(2, runs, jumpy("two"));
  expect_same_losses(one.log, two.log);
}

TEST_CASE("more ranks than windows in a batch are refused") {
  const RunsFolder runs;
  RunConfig config = fifty_steps(runs, "run");
  config.training.batch_tokens = 64;  // two windows
  const auto ended = LaunchedRanks(runs.write(config), 4).wait();
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Catch::Contains("2 windows cannot be shared by 4 ranks"));
}

TEST_CASE("ranks that were given different runs are refused, and the log of rank 0 says who") {
  const RunsFolder runs;
  const fs::path first = runs.write(fifty_steps(runs, "first"));
  const fs::path second = runs.write(fifty_steps(runs, "second"));
  const auto ended = LaunchedRanks(first, second).wait();
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Catch::Contains("rank 1 was given another run than rank 0"));
  CHECK_FALSE(fs::exists(second / "journal.jsonl"));
}

}  // namespace
}  // namespace metascale
