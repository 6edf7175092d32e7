// A run that fails says so in its folder, whatever was thrown, and can be started again.
#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::RunsFolder;

struct Failure {
  std::function<void()> thrown;
  ExitCode code;
  const char* words;
};

// After the third step.
TrainHooks failing(const std::function<void()>& thrown) {
  TrainHooks hooks;
  hooks.on_step = [thrown](const StepRow& row) {
    if (row.step == 3) thrown();
  };
  return hooks;
}

void expect_failure(const fs::path& folder, const TrainHooks& hooks, ExitCode code,
                    const std::string& words) {
  try {
    train(folder, hooks);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code == code);
    CHECK_THAT(error.what(), Contains(words));
    CHECK(read_file(folder / "FAILED") == std::string(error.what()) + "\n");
  }
  const auto heartbeat = read_heartbeat(folder);
  REQUIRE(heartbeat);
  CHECK(heartbeat->phase == RunPhase::failed);
  CHECK_THAT(heartbeat->message, Contains(words));
}

TEST_CASE("a run that fails of anything says so in FAILED and in its heartbeat, and goes on") {
  const Failure failure = GENERATE(
      Failure{[] { throw Error("the disk is full", ExitCode::io); }, ExitCode::io,
              "the disk is full"},
      Failure{[] { throw std::length_error("too long"); }, ExitCode::internal,
              "internal error: too long"},
      Failure{[] { (void)fs::file_size("/nowhere/at/all"); }, ExitCode::io, "/nowhere/at/all"},
      Failure{[] { throw std::bad_alloc(); }, ExitCode::run_failed, "lower training.micro_batch"});
  CAPTURE(failure.words);
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  expect_failure(folder, failing(failure.thrown), failure.code, failure.words);
  CHECK(train(folder, {}) == ExitCode::good);
  CHECK_FALSE(fs::exists(folder / "FAILED"));
  CHECK(read_heartbeat(folder)->phase == RunPhase::done);
}

TEST_CASE("a heartbeat that is damaged hides no failure") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  const auto damage = [&] {
    std::ofstream(folder / "state.json", std::ios::trunc) << "{";
    throw Error("lost", ExitCode::run_failed);
  };
  expect_failure(folder, failing(damage), ExitCode::run_failed, "lost");
}

TEST_CASE("a run folder that another process works in is left as it is") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  const auto busy = [] { throw Error("another one", ExitCode::unavailable); };
  CHECK_THROWS_AS(train(folder, failing(busy)), Error);
  CHECK_FALSE(fs::exists(folder / "FAILED"));
  CHECK(read_heartbeat(folder)->phase == RunPhase::running);
}

}  // namespace
}  // namespace metascale
