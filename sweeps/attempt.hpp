// One start of a run: attempts/0001/attempt.json, written by who starts the run, by rename. From
// these come the device-hours that a run has used, where it ran, and whether it gets on at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/heartbeat.hpp"

namespace metascale {

enum class AttemptEnd {
  running,  // or its end was not seen: killed together with who started it
  done,
  saved,      // asked to stop: preempted, requeued, interrupted
  timed_out,  // the time limit of its job
  cancelled,  // by metascale cancel
  failed,
  lost,   // badly, on several nodes: perhaps by one of them, and another start may have others
  killed  // by who asked it to stop, or no end was seen: found by the next start
};
const char* name_of(AttemptEnd end);

struct Attempt {
  int number = 0;  // 1, 2 ...: the folder's name
  AttemptEnd end = AttemptEnd::running;
  std::string job, node;  // of the batch system; job is empty for a start by hand
  double started = 0;     // seconds since 1970
  double seen = 0;        // the last time that who started it was alive: at its end, the end
  double limit = 0;       // seconds that its job had left when it started; 0: no limit
  std::int64_t first_checkpoint = 0;  // the newest when it started; 0: none
  std::int64_t last_checkpoint = 0;   // the newest when it ended
  int exit_code = 0;
  double cores = 0, gpus = 0;    // its share: half a GPU where two runs share one
  std::optional<double> joules;  // of its GPUs, where they are counted

  double seconds() const { return seen > started ? seen - started : 0; }
  // Takes over what the run said in this attempt of its energy; nothing of an earlier one, and
  // nothing where runs share a GPU: each would count the others', too.
  void take_energy(const Heartbeat& word);
};

std::filesystem::path attempt_folder(const std::filesystem::path& run_folder, int number);
// Makes the next attempt's folder and returns its number. Throws as make_numbered_folder does.
int new_attempt(const std::filesystem::path& run_folder);
void write_attempt(const std::filesystem::path& run_folder, const Attempt& attempt);
// In order. One without attempt.json, or with a damaged one, counts with its number only.
std::vector<Attempt> read_attempts(const std::filesystem::path& run_folder);

// The step of the newest checkpoint in a run folder, by name; 0: none.
std::int64_t newest_checkpoint(const std::filesystem::path& run_folder);

// An attempt whose end nobody saw: it gets one. Killed at about its limit counts as timed out.
// `now_checkpoint`: the newest checkpoint that it left.
void close_unseen(Attempt& attempt, std::int64_t now_checkpoint);
// The same for the last of a run's attempts, where that says that it runs: it was seen alive until
// the run's last word, too. Writes it.
void close_last(const std::filesystem::path& run_folder, std::vector<Attempt>& attempts);
// How many of the last attempts, in a row, ran into their time limit without a new checkpoint.
std::int64_t stalled_timeouts(const std::vector<Attempt>& attempts);
// The same of those that were lost.
std::int64_t losses_in_a_row(const std::vector<Attempt>& attempts);

}  // namespace metascale
