// Attempts of a run: what counts as a time-out, and when a run does not get on.
#include <fstream>

#include "sweeps/attempt.hpp"
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
