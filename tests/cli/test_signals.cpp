// How a run ends when it is told to, and who may work in its folder.
#include <signal.h>

#include <catch2/catch.hpp>
#include <random>

#include "core/heartbeat.hpp"
#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::Ended, testing::expect_equal_bits, testing::journal_lines, testing::call_program,
    testing::outcome_of, testing::Program, testing::RunsFolder;

// So long that it is still running when the signal comes.
RunConfig long_run(const RunsFolder& runs, const std::string& id, std::int64_t steps = 400) {
  RunConfig config = runs.config(id);
  config.training.steps = steps;
  config.evaluation.every_steps = 0;
  config.log.checkpoint_every = 0;
  return config;
}

void wait_for_steps(const fs::path& folder) {
  testing::wait_until([&] { return journal_lines(folder) >= 6; });
}

struct Case {
  int signal, code;
};

TEST_CASE("TERM and USR2 save and exit with 75, INT with 130, and each goes on to equal bits") {
  const auto [signal, code] = GENERATE(Case{SIGTERM, 75}, Case{SIGUSR2, 75}, Case{SIGINT, 130});
  CAPTURE(signal);
  const RunsFolder runs;
  const fs::path folder = runs.write(long_run(runs, "stopped"));
  Program program(runs.path(), {"train", folder.string()});
  wait_for_steps(folder);
  program.send(signal);
  const Ended ended = program.wait();
  INFO(ended.text);
  REQUIRE(ended.code == code);
  CHECK(read_heartbeat(folder)->phase == RunPhase::saved);
  CHECK_FALSE(fs::exists(folder / "DONE"));
  CHECK_FALSE(fs::exists(folder / "lease.json"));

  REQUIRE(call_program(runs.path(), {"train", folder.string()}).code == 0);
  const fs::path whole = runs.write(long_run(runs, "undisturbed"));
  REQUIRE(call_program(runs.path(), {"train", whole.string()}).code == 0);
  const auto stopped = outcome_of(folder);
  CHECK(stopped.log.steps.back().attempt == 2);
  expect_equal_bits(outcome_of(whole), stopped);
}

TEST_CASE("stops at ten random moments leave no trace") {
  const RunsFolder runs;
  const fs::path folder = runs.write(long_run(runs, "stopped"));
  std::mt19937 random(1);
  for (int stop = 0; stop < 10; ++stop) {
    const std::size_t lines = journal_lines(folder) + 4 + random() % 20;
    Program program(runs.path(), {"train", folder.string()});
    testing::wait_until([&] { return journal_lines(folder) >= lines || !program.is_running(); });
    program.send(SIGTERM);
    const Ended ended = program.wait();
    INFO(ended.text);
    REQUIRE((ended.code == 75 || fs::exists(folder / "DONE")));
  }
  REQUIRE(call_program(runs.path(), {"train", folder.string()}).code == 0);
  const fs::path whole = runs.write(long_run(runs, "undisturbed"));
  REQUIRE(call_program(runs.path(), {"train", whole.string()}).code == 0);
  CHECK(outcome_of(folder).log.steps.back().attempt > 1);  // it was stopped at all
  expect_equal_bits(outcome_of(whole), outcome_of(folder));
}

TEST_CASE("a second process in a run's folder is refused while the first lives") {
  const RunsFolder runs;
  const fs::path folder = runs.write(long_run(runs, "run", 100'000));
  Program first(runs.path(), {"train", folder.string()});
  wait_for_steps(folder);
  const Ended second = call_program(runs.path(), {"train", folder.string()});
  CHECK(second.code == 69);
  CHECK_THAT(second.text, Contains("is being worked on by process"));
  CHECK(first.is_running());
  first.send(SIGTERM);
  const Ended ended = first.wait();
  INFO(ended.text);
  CHECK(ended.code == 75);
  CHECK(read_heartbeat(folder)->phase == RunPhase::saved);
  CHECK_FALSE(fs::exists(folder / "FAILED"));
}

TEST_CASE("the folder of a process that was killed is free at once") {
  const RunsFolder runs;
  const fs::path folder = runs.write(long_run(runs, "run"));
  Program first(runs.path(), {"train", folder.string()});
  wait_for_steps(folder);
  first.send(SIGKILL);
  CHECK(first.wait().code == 128 + SIGKILL);
  CHECK(fs::exists(folder / "lease.json"));
  CHECK(call_program(runs.path(), {"train", folder.string()}).code == 0);
}

}  // namespace
}  // namespace metascale
