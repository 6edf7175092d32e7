// A rank that dies or hangs ends the run on every rank, soon, by name, and leaves a folder to go on
// from.
#include <fmt/format.h>
#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/journal.hpp"
#include "experiments/trainer.hpp"
#include "tests/cli/program.hpp"
#include "tests/ranks/launched_ranks.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::EndedRanks, testing::expect_equal_bits, testing::has_event, testing::LaunchedRanks,
    testing::outcome_of, testing::RunsFolder, testing::trained_by;

RunConfig long_run(const RunsFolder& runs, const std::string& id) {
  RunConfig config = runs.config(id);
  config.training.steps = 4000;
  config.training.micro_batch = 2;
  config.evaluation.every_steps = 0;
  config.log = {.checkpoint_every = 10, .keep = 2};
  return config;
}

struct Fault {
  EndedRanks ended;
  double seconds = 0;  // from the fault to the end
};

struct Victim {
  int ranks = 3, rank = 0;
};

// Starts the ranks, and sends the signal to one of them after some steps.
Fault disturbed(const fs::path& folder, Victim victim, int signal, double rank_timeout) {
  LaunchedRanks ranks(folder, victim.ranks, rank_timeout);
  REQUIRE(wait_for_step(ranks, folder, 15));
  const pid_t process = ranks.process_of(victim.rank);
  REQUIRE(::kill(process, signal) == 0);
  const auto start = std::chrono::steady_clock::now();
  Fault fault{.ended = ranks.wait()};
  fault.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  CHECK(testing::wait_until_gone(process));
  return fault;
}

// Every other rank says which one was lost, and the folder can be gone on with.
void expect_named_and_resumable(const fs::path& folder, const Fault& fault, Victim victim) {
  const int rank = victim.rank;
  INFO(fault.ended.text);
  CHECK(fault.ended.code != 0);
  for (int other = 0; other < victim.ranks; ++other)
    if (other != rank)
      CHECK_THAT(fault.ended.text,
                 Catch::Contains(fmt::format("metascale: rank {}: rank {} (process", other, rank)));
  const std::string failed = read_file(folder / "FAILED");
  CHECK_THAT(failed, Catch::StartsWith(fmt::format("rank {} (process", rank)));
  // A rank 0 that hung may wake up for a moment and write what it takes itself for: FAILED outranks
  // that.
  if (rank != 0) CHECK(read_heartbeat(folder)->phase == RunPhase::failed);
  if (rank != 0) CHECK(has_event(read_journal(folder / "journal.jsonl"), "rank_lost"));

  int steps = 3;  // the last checkpoint is whole: the run goes on from it
  TrainHooks hooks{.stop = [&] { return --steps > 0 ? StopRequest::none : StopRequest::save; }};
  CHECK(train(folder, hooks) == ExitCode::saved);
  CHECK(has_event(outcome_of(folder).log, "resume"));
  CHECK_FALSE(has_event(outcome_of(folder).log, "damaged_checkpoint"));
  CHECK_FALSE(fs::exists(folder / "FAILED"));
}

TEST_CASE("a rank that is killed ends the run, and the others name it") {
  const RunsFolder runs;
  const Victim victim = GENERATE(values<Victim>({{2, 0}, {3, 1}, {4, 3}}));
  CAPTURE(victim.ranks, victim.rank);
  const fs::path folder = runs.write(long_run(runs, "run"));
  const Fault fault = disturbed(folder, victim, SIGKILL, 20);
  expect_named_and_resumable(folder, fault, victim);
  CHECK(fault.seconds < 15);  // it is found by its process, not by the time-out
}

TEST_CASE("a rank that hangs ends the run after the time-out, and the others name it") {
  const RunsFolder runs;
  const Victim victim = GENERATE(values<Victim>({{2, 0}, {3, 2}, {4, 1}}));
  CAPTURE(victim.ranks, victim.rank);
  const fs::path folder = runs.write(long_run(runs, "run"));
  const Fault fault = disturbed(folder, victim, SIGSTOP, 4);
  expect_named_and_resumable(folder, fault, victim);
  CHECK_THAT(fault.ended.text, Catch::Contains("did not answer for 4 s"));
  CHECK(fault.ended.code == int(ExitCode::run_failed));
  CHECK(fault.seconds >= 3.9);
  CHECK(fault.seconds < 30);
}

TEST_CASE("a rank that is killed changes no bit of a run that the same ranks go on with") {
  const RunsFolder runs;
  const auto short_run = [&](const std::string& id) {
    RunConfig config = long_run(runs, id);
    config.training.steps = 60;
    return config;
  };
  const auto undisturbed = trained_by(3, runs, short_run("undisturbed"));
  const fs::path folder = runs.write(short_run("killed"));
  disturbed(folder, {.ranks = 3, .rank = 2}, SIGKILL, 20);
  expect_equal_bits(undisturbed, trained_by(3, runs, short_run("killed")));
}

// MPI_Init waits for ever for a rank that does not come.
TEST_CASE(
    "ranks whose step is not finite end the run, and say which operator or parameter it was") {
  const RunsFolder runs;
  RunConfig config = runs.config("explodes");
  config.training.micro_batch = 2;
  auto& optimizer = config.training.optimizer;
  optimizer.learning_rate = optimizer.final_learning_rate = 10;
  optimizer.weight_decay = 100;  // each update multiplies the weights by -999
  const fs::path folder = runs.write(config);
  const EndedRanks ended = LaunchedRanks(folder, 3).wait();
  INFO(ended.text);
  CHECK(ended.code != 0);
  const std::string why = read_file(folder / "FAILED");
  CHECK_THAT(why, Catch::StartsWith("step ") && Catch::Contains("not finite is in ") &&
                      Catch::Contains("lower training.learning_rate"));
  CHECK_THAT(ended.text, Catch::Contains(why.substr(0, why.size() - 1)));
}

TEST_CASE("a rank that hangs before MPI starts ends the others with 69 after 45 s", "[.slow]") {
  const RunsFolder runs;
  const fs::path folder = runs.write(long_run(runs, "run"));
  const auto start = std::chrono::steady_clock::now();
  LaunchedRanks ranks(
      folder, 3,
      testing::Words{"/bin/sh", "-c",
                     "[ \"$OMPI_COMM_WORLD_RANK\" = 2 ] && kill -STOP $$; exec \"$@\"", "sh",
                     METASCALE_PROGRAM, "train", folder.string(), "--rank-timeout", "10"});
  const EndedRanks ended = ranks.wait(std::chrono::seconds(90));
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::unavailable));
  CHECK_THAT(ended.text, Catch::Contains("metascale: rank 0: MPI did not start within 45 s") ||
                             Catch::Contains("metascale: rank 1: MPI did not start within 45 s"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

}  // namespace
}  // namespace metascale
