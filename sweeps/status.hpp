// How a run stands, told by its own folder: DONE and FAILED decide, state.json tells the rest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

namespace metascale {

enum class RunState {
  pending,  // nothing but config.yaml
  queued,
  running,
  saved,  // stopped with a checkpoint: start it again
  done,
  failed,
  cancelled,
  timed_out,
  lost  // says running, but its process is gone or silent; computed, never written
};
const char* name_of(RunState state);

struct RunStatus {
  std::string id;
  RunState state = RunState::pending;
  std::int64_t step = 0, steps = 0;
  double loss = std::numeric_limits<double>::quiet_NaN();  // nats per token, of the last step
  double tokens_per_second = 0;
  double heartbeat = 0;  // seconds since 1970 of the last word of it; 0: none
  std::int64_t attempts = 0;
  std::string reason;  // of a failure
};

// A run is lost after this long without a word, or at once where its process on this machine is gone.
inline constexpr double heartbeat_timeout = 180;  // seconds

// Reads runs/<id>. A state.json that is torn or foreign counts as absent.
RunStatus read_status(const std::filesystem::path& run_folder);

// state.json, by rename: what train (and a launcher) says about a run.
struct StateFile {
  RunState state = RunState::running;
  std::int64_t step = 0, steps = 0;
  double loss = std::numeric_limits<double>::quiet_NaN();
  double tokens_per_second = 0;
};
void write_state(const std::filesystem::path& run_folder, const StateFile& state);

// Lines for people: one per running run with a bar, loss, tokens/s and the time that is left, then totals.
// width: columns of the terminal.
std::vector<std::string> progress_lines(const std::vector<RunStatus>& runs, int width);

}  // namespace metascale
