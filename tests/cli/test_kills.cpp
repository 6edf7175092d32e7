// A run may be killed at any moment and started again: what it leaves is what an undisturbed run
// leaves, bit for bit.
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <thread>

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

void expect_kills_leave_no_trace(int wanted, unsigned seed) {
  const RunsFolder runs;
  const std::string undisturbed = runs.write(often_saved(runs, "undisturbed")).string();
  REQUIRE(call_program(runs.path(), {"train", undisturbed}).code == 0);
  std::mt19937 random(seed);
  for (int kills = 0, run = 1; kills < wanted;
       ++run) {  // a run that comes to its end makes room for another
    const fs::path folder = runs.write(often_saved(runs, "killed-" + std::to_string(run)));
    while (kills < wanted && start_and_kill(runs, folder, random)) ++kills;
    CAPTURE(kills, run);
    const auto last = call_program(runs.path(), {"train", folder.string()});
    INFO(last.text);
    REQUIRE(last.code == 0);
    expect_equal_bits(outcome_of(undisturbed), outcome_of(folder));
  }
}

TEST_CASE("five kills at random moments leave no trace") { expect_kills_leave_no_trace(5, 1); }

TEST_CASE("twenty kills at random moments leave no trace", "[.slow]") {
  expect_kills_leave_no_trace(20, GENERATE(2u, 3u));
}

}  // namespace
}  // namespace metascale
