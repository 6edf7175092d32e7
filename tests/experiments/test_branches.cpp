// Trunks of a wsd schedule, and the branches that decay from their steps.
#include <catch2/catch.hpp>

#include "tests/experiments/trained.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::checkpoint_steps, testing::error_of, testing::RunsFolder, testing::stop_after,
    testing::trained;

RunConfig wsd(const RunsFolder& runs, const std::string& id, std::int64_t steps,
              std::int64_t decay_steps) {
  RunConfig config = runs.config(id);
  config.training.steps = steps;
  config.training.schedule = {
      .kind = ScheduleKind::wsd, .warmup_steps = 2, .decay_steps = decay_steps};
  config.data.test.clear();
  return config;
}

void train_trunk(const RunsFolder& runs) {
  RunConfig trunk = wsd(runs, "trunk", 24, 0);
  trunk.role = Role::trunk;
  trunk.log = {.checkpoint_every = 0, .keep = 1, .checkpoint_at = {12}};
  trained(runs, trunk);
}

TEST_CASE("a branch of a trunk equals the one run that decays there, bit for bit") {
  const RunsFolder runs;
  train_trunk(runs);
  CHECK(checkpoint_steps(runs.run("trunk")) == std::vector<std::int64_t>{12, 24});
  RunConfig branch = wsd(runs, "branch", 18, 6);
  branch.parent = {.run = "trunk", .step = 12};
  const auto from_trunk = trained(runs, branch);
  const auto whole = trained(runs, wsd(runs, "whole", 18, 6));
  CHECK((from_trunk.weights == whole.weights));
  CHECK((from_trunk.moments == whole.moments));
  REQUIRE(from_trunk.log.steps.size() == 6);
  for (std::size_t i = 0; i < 6; ++i) {
    const StepRow &here = from_trunk.log.steps[i], &there = whole.log.steps[12 + i];
    CHECK(here.step == there.step);
    CHECK(here.tokens == there.tokens);
    CHECK(here.digest == there.digest);
    CHECK(here.loss == there.loss);
    CHECK(here.learning_rate == there.learning_rate);
  }
}

TEST_CASE("a branch is found beside its trunk, however its folder is written") {
  const RunsFolder runs;
  train_trunk(runs);
  RunConfig branch = wsd(runs, "branch", 18, 6);
  branch.parent = {.run = "trunk", .step = 12};
  CHECK(train(runs.write(branch) / "", stop_after(1)) == ExitCode::saved);
  CHECK(checkpoint_steps(runs.run("branch")) == std::vector<std::int64_t>{13});
}

TEST_CASE("a branch of a step that its trunk has not saved is refused") {
  const RunsFolder runs;
  train_trunk(runs);
  RunConfig branch = wsd(runs, "branch", 18, 6);
  branch.parent = {.run = "trunk", .step = 11};
  const fs::path folder = runs.write(branch);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { train(folder, {}); }),
             Catch::Contains("trunk/checkpoints/step-0000000011"));
}

TEST_CASE("a branch on other tokens than its trunk's is refused") {
  const RunsFolder runs;
  train_trunk(runs);
  RunConfig branch = wsd(runs, "branch", 18, 6);
  branch.parent = {.run = "trunk", .step = 12};
  branch.data.train = runs.tokens("validation");
  const fs::path folder = runs.write(branch);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { train(folder, {}); }),
             Catch::Contains("not the tokens that the trunk"));
}

}  // namespace
}  // namespace metascale
