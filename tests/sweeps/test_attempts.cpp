// Attempts of a run: what counts as a time-out, and when a run does not get on.
#include <fstream>

#include "sweeps/attempt.hpp"
#include "sweeps/numbered_folders.hpp"
#include "sweeps/submission.hpp"
#include "tests/sweeps/definitions.hpp"
#include "tests/sweeps/program_folder.hpp"

using namespace metascale;

namespace {

Attempt ended(AttemptEnd end, std::int64_t first, std::int64_t last) {
  return {.end = end, .first_checkpoint = first, .last_checkpoint = last};
}

}  // namespace

TEST_CASE("attempts: only time-outs in a row without a new checkpoint count, preemptions never") {
  const Attempt stuck = ended(AttemptEnd::timed_out, 4, 4),
                moved = ended(AttemptEnd::timed_out, 4, 8),
                preempted = ended(AttemptEnd::saved, 4, 4),
                killed = ended(AttemptEnd::killed, 4, 4), failed = ended(AttemptEnd::failed, 4, 4);
  CHECK(stalled_timeouts({}) == 0);
  CHECK(stalled_timeouts({stuck, stuck}) == 2);
  CHECK(stalled_timeouts({stuck, moved, stuck}) == 1);
  CHECK(stalled_timeouts({stuck, stuck, moved}) == 0);
  CHECK(stalled_timeouts({preempted, preempted, killed}) == 0);
  CHECK(stalled_timeouts({stuck, preempted, stuck}) == 2);  // it absolves nothing, either
  CHECK(stalled_timeouts({stuck, stuck, ended(AttemptEnd::saved, 4, 5)}) == 0);
  CHECK(stalled_timeouts({stuck, stuck, failed, stuck}) == 1);
}

TEST_CASE("attempts: losses in a row are those since a new checkpoint, or since a failure") {
  const Attempt lost = ended(AttemptEnd::lost, 4, 4), moved = ended(AttemptEnd::lost, 4, 8),
                stuck = ended(AttemptEnd::timed_out, 4, 4),
                failed = ended(AttemptEnd::failed, 4, 4);
  CHECK(losses_in_a_row({}) == 0);
  CHECK(losses_in_a_row({lost, stuck, lost}) == 2);
  CHECK(losses_in_a_row({lost, moved, lost}) == 1);
  CHECK(losses_in_a_row({lost, moved}) == 0);
  CHECK(losses_in_a_row({lost, failed, lost}) == 1);
  CHECK(stalled_timeouts({stuck, lost, stuck}) == 2);
}

TEST_CASE("attempts: one whose end nobody saw timed out if it came to about its limit") {
  Attempt attempt{.started = 1000, .seen = 1000 + 3550, .limit = 3600, .first_checkpoint = 4};
  close_unseen(attempt, 9);
  CHECK(attempt.end == AttemptEnd::timed_out);
  CHECK(attempt.last_checkpoint == 9);
  attempt.seen = 1000 + 300;
  close_unseen(attempt, 9);
  CHECK(attempt.end == AttemptEnd::killed);
  attempt.limit = 0;
  attempt.seen = 1e6;
  close_unseen(attempt, 9);
  CHECK(attempt.end == AttemptEnd::killed);
}

TEST_CASE("attempts: a record reads back as it was written, and a missing counter stays missing") {
  const Folder folder;
  const auto run = folder.job("a").folder;
  Attempt attempt{.number = new_attempt(run),
                  .end = AttemptEnd::saved,
                  .job = "44_3",
                  .node = "n1",
                  .started = 10.5,
                  .seen = 20.25,
                  .limit = 60,
                  .first_checkpoint = 4,
                  .last_checkpoint = 8,
                  .exit_code = 75,
                  .cores = 2,
                  .gpus = 0.5};
  write_attempt(run, attempt);
  attempt.number = new_attempt(run);
  attempt.joules = 12.5;
  write_attempt(run, attempt);
  new_attempt(run);
  std::ofstream(attempt_folder(run, 3) / "attempt.json") << "{\"end\": 7";
  const auto read = read_attempts(run);
  REQUIRE(read.size() == 3);
  CHECK(read[0].number == 1);
  CHECK(read[0].end == AttemptEnd::saved);
  CHECK(read[0].job == "44_3");
  CHECK(read[0].seconds() == 9.75);
  CHECK(read[0].gpus == 0.5);
  CHECK_FALSE(read[0].joules);
  CHECK(*read[1].joules == 12.5);
  CHECK(read[2].end == AttemptEnd::killed);  // damaged: it counts, and says nothing
}

TEST_CASE("attempts: the newest checkpoint is found by its name") {
  const Folder folder;
  const auto run = folder.job("a").folder;
  CHECK(newest_checkpoint(run) == 0);
  for (const char* name : {"step-0000000004", "step-0000000012", "step-0000000099.tmp", "other"})
    std::filesystem::create_directories(run / "checkpoints" / name);
  CHECK(newest_checkpoint(run) == 12);
}

TEST_CASE("attempts: only folders with a number of ours count, and the next one has a new number") {
  const Folder folder;
  const auto run = folder.job("a").folder;
  for (const char* name : {"0002", "2147483647", "99999999999999999999", "00003", "-0004", "5",
                           "0006x", "0000", "notes"})
    std::filesystem::create_directories(run / "attempts" / name);
  std::filesystem::create_directory_symlink(run, run / "attempts/0007");
  CHECK(numbered_folders(run / "attempts") == std::vector<int>{2});
  CHECK(new_attempt(run) == 3);
  std::ofstream(run / "attempts/0004") << "in the way";
  std::filesystem::create_directory(run / "attempts/10000");
  CHECK(new_attempt(run) == 10001);
  CHECK(number_of(attempt_folder(run, 10001)) == 10001);
  std::filesystem::create_directory(run / "attempts/999999");
  CHECK_THROWS_WITH(new_attempt(run), Catch::Contains("999999 is there"));
}

TEST_CASE("attempts and submissions are made in no folder that is a link") {
  const Folder folder;
  const auto other = folder.path / "other";
  std::filesystem::create_directories(other / "0001");
  for (const char* name : {"attempts", "submissions"})
    std::filesystem::create_directory_symlink(other, folder.path / name);
  CHECK(read_attempts(folder.path).empty());
  CHECK_THROWS_WITH(new_attempt(folder.path), Catch::Contains("attempts: is a symbolic link"));
  Submission submission;
  CHECK_THROWS_WITH(create_submission(folder.path, submission),
                    Catch::Contains("submissions: is a symbolic link"));
  CHECK(std::distance(std::filesystem::directory_iterator(other), {}) == 1);
}

TEST_CASE("attempts: one with numbers that none can have is damaged") {
  const Folder folder;
  const auto run = folder.job("a").folder;
  const int number = new_attempt(run);
  const auto cores_of = [&](Attempt attempt) {
    attempt.number = number;
    write_attempt(run, attempt);
    return read_attempts(run)[0].cores;
  };
  const Attempt good{.started = 1.7e9, .seen = 1.8e9, .limit = 60, .cores = 64, .joules = 1e9};
  CHECK(cores_of(good) == 64);
  for (const double value : {-1.0, 1e308}) {
    for (double Attempt::*field :
         {&Attempt::started, &Attempt::seen, &Attempt::limit, &Attempt::gpus}) {
      Attempt absurd = good;
      absurd.*field = value;
      CHECK(cores_of(absurd) == 0);
    }
    Attempt absurd = good;
    absurd.joules = value;
    CHECK(cores_of(absurd) == 0);
  }
}

TEST_CASE(
    "attempts: energy is missing where runs share a GPU, whose counter is of the whole board") {
  const Heartbeat word{.time = 2e9, .joules = 7.0};
  Attempt alone{.started = 1.9e9, .gpus = 1}, shared{.started = 1.9e9, .gpus = 0.5};
  alone.take_energy(word), shared.take_energy(word);
  CHECK(*alone.joules == 7);
  CHECK_FALSE(shared.joules);
}
