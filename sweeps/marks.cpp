#include "sweeps/marks.hpp"

#include "core/heartbeat.hpp"
#include "sweeps/attempt.hpp"

namespace metascale {

void forget_failure(const std::filesystem::path& run_folder, const std::string& message) {
  std::filesystem::remove(run_folder / "FAILED");
  Heartbeat last = read_heartbeat(run_folder).value_or(Heartbeat{});
  last.phase = newest_checkpoint(run_folder) > 0 ? RunPhase::saved : RunPhase::pending;
  last.message = message;
  last.time = 0;  // now
  write_heartbeat(run_folder, last);
}

}  // namespace metascale
