// How a run stands, told by its own folder: DONE, CANCELLED and FAILED decide, state.json tells the
// rest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/file_clock.hpp"
#include "core/heartbeat.hpp"
#include "core/progress.hpp"

namespace metascale {

enum class Presence {
  as_said,  // the phase is the truth
  lost      // it says running, but its process is gone or silent; computed, never written
};

struct RunStatus {
  std::string id;
  Heartbeat last;  // what the run said last; phase: what DONE and FAILED say, where they are there
  Presence presence = Presence::as_said;
  double silent_seconds = 0;  // of one that says it runs: since it said so last
  std::int64_t attempts = 0;
  std::string reason;  // of a failure, a cancellation, a wait

  RunPhase phase() const { return last.phase; }
  bool is_running() const {
    return last.phase == RunPhase::running && presence == Presence::as_said;
  }
  const char* word() const { return presence == Presence::lost ? "lost" : name_of(last.phase); }
};

// A run is lost after this long without a word, or at once where its process on this machine is
// gone.
inline constexpr double heartbeat_timeout = 300;  // seconds

// So begins the reason of a pending run whose job found that its parent is not done.
inline constexpr const char* waits_for_parent = "waiting for ";

// Reads runs/<id>. A state.json that is damaged counts as absent. Silence is judged by the dates of
// files alone, since the run may be on a machine with another clock.
RunStatus read_status(const std::filesystem::path& run_folder, FileClock& clock);
RunStatus read_status(const std::filesystem::path& run_folder);

// "loss 2.1034, 12.3k tok/s": what a bar of a running run says.
std::string status_text(const RunStatus& status);
// "3 done, 2 running, 4 pending".
std::string totals_text(const std::vector<RunStatus>& runs);

}  // namespace metascale
