// A run may be killed at any moment and started again: what it leaves is what an undisturbed run
// leaves, bit for bit, and its run.h5 opens in between.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <thread>

#include "tests/cli/h5py.hpp"
#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::expect_equal_bits, testing::journal_lines, testing::call_program,
    testing::outcome_of, testing::Program, testing::RunsFolder;

RunConfig often_saved(const RunsFolder& runs, const std::string& id) {
  RunConfig config = runs.config(id, Architecture::meta_state);
  config.training.steps = 60;
  config.evaluation = {.every_steps = 10, .windows = 8};
  config.log = {.checkpoint_every = 4, .keep = 2};
  return config;
}

// Starts the run and kills it once its journal has grown by some lines, or a little later: in the
// middle of a step, an evaluation or a checkpoint. Returns whether it was still alive.
bool start_and_kill(const RunsFolder& runs, const fs::path& folder, std::mt19937& random) {
  const std::size_t lines = journal_lines(folder) + random() % 16;
  const auto pause = std::chrono::microseconds(random() % 4000);
  Program program(runs.path(), {"train", folder.string()});
  testing::wait_until([&] { return journal_lines(folder) >= lines || !program.is_running(); });
  std::this_thread::sleep_for(pause);
  program.send(SIGKILL);
  return program.wait().code == 128 + SIGKILL;
}

// Whether a killed run has left a run.h5, which opens then; there is none before its first
// checkpoint.
bool opens_after_kill(const fs::path& folder) {
  if (!testing::has_h5py() || !fs::exists(folder / "run.h5")) return false;
  return testing::steps_that_h5py_sees(folder / "run.h5") > 0;
}

void expect_kills_leave_no_trace(int wanted, unsigned seed) {
  const RunsFolder runs;
  const std::string undisturbed = runs.write(often_saved(runs, "undisturbed")).string();
  REQUIRE(call_program(runs.path(), {"train", undisturbed}).code == 0);
  std::mt19937 random(seed);
  int opened = 0;
  // A run that comes to its end makes room for another.
  for (int kills = 0, run = 1; kills < wanted; ++run) {
    REQUIRE(run <= 2 * wanted);
    const fs::path folder = runs.write(often_saved(runs, "killed-" + std::to_string(run)));
    for (; kills < wanted && start_and_kill(runs, folder, random); ++kills)
      opened += opens_after_kill(folder);
    CAPTURE(kills, run);
    const auto last = call_program(runs.path(), {"train", folder.string()});
    INFO(last.text);
    REQUIRE(last.code == 0);
    expect_equal_bits(outcome_of(undisturbed), outcome_of(folder));
  }
  CHECK(2 * opened >= (testing::has_h5py() ? wanted : 0));
}

TEST_CASE("five kills at random moments leave no trace") { expect_kills_leave_no_trace(5, 1); }

TEST_CASE("twenty kills at random moments leave no trace", "[.slow]") {
  expect_kills_leave_no_trace(20, GENERATE(2u, 3u));
}

TEST_CASE("run.h5 opens while its run is going") {
  if (!testing::has_h5py()) return;
  const RunsFolder runs;
  RunConfig config = often_saved(runs, "going");
  config.training.steps = 1'000'000;
  const fs::path folder = runs.write(config);
  Program program(runs.path(), {"train", folder.string()});
  testing::wait_until([&] { return fs::exists(folder / "run.h5") || !program.is_running(); });
  std::int64_t seen = 0;  // as it begins
  testing::wait_until([&] {
    const std::int64_t steps = testing::steps_that_h5py_sees(folder / "run.h5");
    CHECK(steps >= seen);
    seen = steps;
    return seen > 0 || !program.is_running();
  });
  for (int look = 0; look < 3; ++look) {
    const std::int64_t steps = testing::steps_that_h5py_sees(folder / "run.h5");
    CHECK(steps >= seen);
    seen = steps;
  }
  CHECK(program.is_running());
  program.send(SIGKILL);
  CHECK(program.wait().code == 128 + SIGKILL);
}

}  // namespace
}  // namespace metascale
