// state.json in a run folder: what the run's process said last. Written by rename, so it is whole;
// a heartbeat that grows old with no process behind it means that the run is lost.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

namespace metascale {

enum class RunPhase { pending, queued, running, saved, done, failed, cancelled, timed_out };
const char* name_of(RunPhase phase);

struct Heartbeat {
  RunPhase phase = RunPhase::pending;  // in the file: "state"
  std::int64_t step = 0;
  std::int64_t steps = 0;  // planned
  // Of the last step; NaN: none yet.
  double loss = std::numeric_limits<double>::quiet_NaN();  // nats per token
  double tokens_per_second = std::numeric_limits<double>::quiet_NaN();
  double time = 0;  // seconds since 1970, UTC; 0: set by write_heartbeat
  std::int32_t attempt = 0;
  std::string message;           // why it failed, what it waits for
  std::optional<double> joules;  // that this attempt's GPUs used; nothing where none counts them
};

// Writes folder/state.json. Throws Error{io}.
void write_heartbeat(const std::filesystem::path& folder, Heartbeat heartbeat);
// Nothing where there is no state.json, or a damaged one: the run's next word writes it anew, and
// its other files tell how it stands.
std::optional<Heartbeat> read_heartbeat(const std::filesystem::path& folder);

// The first words of a run's FAILED or CANCELLED, which say why; empty where there is no such file.
std::string read_reason(const std::filesystem::path& mark);

double seconds_since_1970();

}  // namespace metascale
