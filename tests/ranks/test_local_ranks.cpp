// `metascale train --ranks`: the ranks of one run as processes that the program starts itself.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

#include "core/atomic_file.hpp"
#include "core/communicator/exit_after.hpp"
#include "core/heartbeat.hpp"
#include "core/local_ranks.hpp"
#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::call_program, testing::Ended, testing::expect_equal_bits, testing::has_event,
    testing::journal_lines, testing::Outcome, testing::outcome_of, testing::Program,
    testing::RunsFolder, testing::Words;

RunConfig steps_of(const RunsFolder& runs, const std::string& id, std::int64_t steps) {
  RunConfig config = runs.config(id, Architecture::meta_state);
  config.training.steps = steps;
  config.training.micro_batch = 2;
  // What rounding leaves would grow with a larger one.
  config.training.optimizer.learning_rate = 3e-3;
  config.training.optimizer.final_learning_rate = 3e-4;
  config.evaluation = {.every_steps = 20, .windows = 11};
  config.log = {.checkpoint_every = 10, .keep = 2};
  return config;
}

Words train_on(int ranks, const fs::path& folder, double timeout = 20) {
  return {"train",          folder.string(),           "--ranks", std::to_string(ranks),
          "--rank-timeout", fmt::format("{}", timeout)};
}

Outcome trained_on(int ranks, const RunsFolder& runs, const RunConfig& config) {
  const fs::path folder = runs.write(config);
  const Ended ended = call_program(runs.path(), train_on(ranks, folder));
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return outcome_of(folder);
}

std::vector<pid_t> numbers_in(const fs::path& path) {
  std::ifstream file(path);
  std::vector<pid_t> numbers;
  for (pid_t number; file >> number;) numbers.push_back(number);
  return numbers;
}

// Processes that `parent` started, in the order in which it did.
std::vector<pid_t> children_of(pid_t parent) {
  return numbers_in(fmt::format("/proc/{0}/task/{0}/children", parent));
}

struct Fault {
  Ended ended;
  double seconds = 0;  // from the fault to the end
};

// A run on three ranks of which one gets the signal after some steps.
Fault disturbed(const RunsFolder& runs, const RunConfig& config, int rank, int signal,
                double timeout) {
  const fs::path folder = runs.write(config);
  Program program(runs.path(), train_on(3, folder, timeout));
  testing::wait_until([&] { return journal_lines(folder) >= 15; });
  const std::vector<pid_t> ranks = children_of(program.process());
  REQUIRE(ranks.size() == 3);
  REQUIRE(::kill(ranks[std::size_t(rank)], signal) == 0);
  const auto start = std::chrono::steady_clock::now();
  Fault fault{.ended = program.wait()};
  fault.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const pid_t process : ranks) CHECK(::kill(process, 0) != 0);  // nobody is left
  return fault;
}

TEST_CASE(
    "ranks that the program starts train to the losses of one rank, and every time to the "
    "same bits") {
  const RunsFolder runs;
  const Outcome one = trained_on(1, runs, steps_of(runs, "one", 50));
  for (const int ranks : {2, 4}) {
    CAPTURE(ranks);
    const Outcome several = trained_on(ranks, runs, steps_of(runs, fmt::format("r{}", ranks), 50));
    CHECK(several.log.facts.at("ranks") == std::to_string(ranks));
    REQUIRE(several.log.steps.size() == 50);
    for (std::size_t i = 0; i < 50; ++i) {
      CHECK(several.log.steps[i].digest == one.log.steps[i].digest);
      CHECK(several.log.steps[i].loss == Approx(one.log.steps[i].loss).epsilon(1e-5));
    }
  }
  expect_equal_bits(outcome_of(runs.run("r2")), trained_on(2, runs, steps_of(runs, "again", 50)));
}

TEST_CASE("TERM saves on every rank, and the run goes on to the same bits") {
  const RunsFolder runs;
  const Outcome undisturbed = trained_on(2, runs, steps_of(runs, "undisturbed", 60));
  const fs::path folder = runs.write(steps_of(runs, "saved", 60));
  Program program(runs.path(), train_on(2, folder));
  testing::wait_until([&] { return journal_lines(folder) >= 15; });
  program.send(SIGTERM);
  CHECK(program.wait().code == int(ExitCode::saved));
  CHECK_FALSE(fs::exists(folder / "DONE"));
  expect_equal_bits(undisturbed, trained_on(2, runs, steps_of(runs, "saved", 60)));
}

TEST_CASE("a rank of our own launcher that is killed is named, and costs no bit") {
  const RunsFolder runs;
  const int rank = GENERATE(0, 2);
  CAPTURE(rank);
  const Outcome undisturbed = trained_on(3, runs, steps_of(runs, "undisturbed", 200));
  const Fault fault = disturbed(runs, steps_of(runs, "killed", 200), rank, SIGKILL, 20);
  INFO(fault.ended.text);
  CHECK(fault.ended.code == int(ExitCode::run_failed));
  CHECK(fault.seconds < 15);  // it is found by its process, not by the time-out
  CHECK_THAT(read_file(runs.run("killed") / "FAILED"),
             Catch::StartsWith(fmt::format("rank {} (process", rank)));
  expect_equal_bits(undisturbed, trained_on(3, runs, steps_of(runs, "killed", 200)));
}

TEST_CASE("a rank of our own launcher that hangs is named after the time-out, and ended") {
  const RunsFolder runs;
  const Fault fault = disturbed(runs, steps_of(runs, "hung", 4000), 1, SIGSTOP, 3);
  INFO(fault.ended.text);
  CHECK(fault.ended.code == int(ExitCode::run_failed));
  CHECK_THAT(fault.ended.text, Catch::Contains("did not answer for 3 s"));
  CHECK(fault.seconds >= 2.9);
  CHECK(fault.seconds < 30);
}

TEST_CASE("what no rank could tell of its failure the launcher does, also in a second attempt") {
  const RunsFolder runs;
  const fs::path folder = runs.write(steps_of(runs, "killed", 4000));
  write_file_atomically(folder / "FAILED", "an earlier attempt\n");
  Program program(runs.path(), train_on(2, folder));
  testing::wait_until([&] { return journal_lines(folder) >= 15; });
  CHECK_FALSE(fs::exists(folder / "FAILED"));
  const std::vector<pid_t> ranks = children_of(program.process());
  REQUIRE(ranks.size() == 2);
  for (const pid_t process : ranks) REQUIRE(::kill(process, SIGKILL) == 0);
  const Ended ended = program.wait();
  INFO(ended.text);
  CHECK(ended.code == 128 + SIGKILL);
  CHECK_THAT(read_file(folder / "FAILED"),
             Catch::StartsWith("rank ") && Catch::Contains("was ended by signal 9"));
  const auto last = read_heartbeat(folder);
  REQUIRE(last);
  CHECK(last->phase == RunPhase::failed);
  CHECK(last->message + "\n" == read_file(folder / "FAILED"));
}

TEST_CASE("a rank that is killed as it is started ends the run, which names it") {
  const RunsFolder runs;
  const fs::path folder = runs.write(steps_of(runs, "early", 4000));
  const auto start = std::chrono::steady_clock::now();
  Program program(runs.path(), train_on(3, folder, 2));
  std::vector<pid_t> ranks;
  while (ranks.size() < 3 && program.is_running()) ranks = children_of(program.process());
  REQUIRE(ranks.size() == 3);
  REQUIRE(::kill(ranks[2], SIGKILL) == 0);
  const Ended ended = program.wait(std::chrono::seconds(60));
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::run_failed));
  const std::string failed = read_file(folder / "FAILED");
  CHECK_THAT(failed,
             Catch::StartsWith("rank 2") && Catch::Contains(fmt::format("process {}", ranks[2])));
  CHECK_THAT(ended.text, Catch::Contains("metascale: " + failed));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(12));
  for (const pid_t process : ranks) CHECK(::kill(process, 0) != 0);
}

// A shell for each rank; $METASCALE_RANKS begins with its number.
EndedLocalRanks shells(const std::string& script, int signal = 0) {
  return run_local_ranks({.count = 3,
                          .words = {"/bin/sh", "-c", script},
                          .signal = [=] { return signal; },
                          .grace_seconds = 5});
}

TEST_CASE("a rank that hangs before it meets the others is waited for 15 s, and named") {
  const RunsFolder runs;
  const fs::path folder = runs.write(steps_of(runs, "stopped", 4000));
  const std::string output = (runs.path() / "ranks.txt").string();
  const fs::path processes = runs.path() / "processes.txt";
  const EndedLocalRanks ended =
      shells(fmt::format("echo $$ >>'{}'\n"
                         "case $METASCALE_RANKS in 2*) kill -STOP $$ ;; esac\n"
                         "exec '{}' train '{}' --rank-timeout 2 >>'{}' 2>&1",
                         processes.string(), METASCALE_PROGRAM, folder.string(), output));
  CHECK(ended.code == int(ExitCode::run_failed));
  CHECK_THAT(ended.lost, Catch::Contains("rank 2 (process ") &&
                             Catch::Contains(" hung: it was killed ") &&
                             Catch::Contains(" s after rank "));
  CHECK_THAT(read_file(output), Catch::Contains("rank 2 did not come for 15 s; rank "));
  CHECK_FALSE(fs::exists(folder / "FAILED"));  // the launcher, which knows more, writes it
  const std::vector<pid_t> ranks = numbers_in(processes);
  REQUIRE(ranks.size() == 3);
  for (const pid_t process : ranks) CHECK(::kill(process, 0) != 0);  // nobody is left
}

TEST_CASE("the launcher says which rank a signal ended, unless it was asked for") {
  const EndedLocalRanks killed =
      shells("case $METASCALE_RANKS in 1*) kill -9 $$ ;; esac; sleep 0.2; exit 65");
  CHECK(killed.code == 65);
  CHECK_THAT(killed.lost, Catch::StartsWith("rank 1 (process ") &&
                              Catch::EndsWith(") was ended by signal 9 (Killed)"));
  CHECK(shells("exit 65").lost.empty());  // it has said why
  const EndedLocalRanks asked = shells("exec sleep 60", SIGTERM);
  CHECK(asked.code == 128 + SIGTERM);
  CHECK(asked.lost.empty());
}

TEST_CASE("what does not return in time ends the process, and what returns does not") {
  { const ExitAfter in_time(60, "", ExitCode::unavailable); }
  const auto code_of = [](double limit_seconds, double seconds) {
    const pid_t child = ::fork();
    if (child == 0) {
      {
        const ExitAfter limit(limit_seconds, "it hangs", ExitCode::unavailable);
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
      }
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WEXITSTATUS(status);
  };
  CHECK(code_of(0.05, 30) == int(ExitCode::unavailable));
  CHECK(code_of(60, 0.3) == 0);
}

}  // namespace
}  // namespace metascale
