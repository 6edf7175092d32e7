#include "sweeps/status.hpp"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "core/run_lease.hpp"
#include "core/units.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

std::int64_t count_attempts(const fs::path& folder) {
  std::int64_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "attempts", error))
    count += entry.is_directory();
  return count;
}

}  // namespace

RunStatus read_status(const fs::path& folder) {
  FileClock clock;
  return read_status(folder, clock);
}

RunStatus read_status(const fs::path& folder, FileClock& clock) {
  RunStatus status;
  status.id = folder.filename().string();
  status.attempts = count_attempts(folder);
  if (const auto last = read_heartbeat(folder)) {
    status.last = *last;
    status.reason = last->message;
    if (last->phase == RunPhase::done) status.last.phase = RunPhase::saved;  // DONE alone says so
    if (last->phase == RunPhase::running) {
      status.silent_seconds = clock.seconds_since_written(folder / "state.json").value_or(0);
      if (status.silent_seconds > heartbeat_timeout || lease_holder_is_gone(folder))
        status.presence = Presence::lost;
    }
  }
  const auto decide = [&](RunPhase phase) {
    status.last.phase = phase;
    status.presence = Presence::as_said;
  };
  if (fs::exists(folder / "FAILED")) {
    decide(RunPhase::failed);
    status.reason = read_reason(folder / "FAILED");
  }
  if (fs::exists(folder / "CANCELLED")) {
    decide(RunPhase::cancelled);
    status.reason = read_reason(folder / "CANCELLED");
  }
  if (fs::exists(folder / "DONE")) {
    decide(RunPhase::done);
    status.reason.clear();
  }
  return status;
}

std::string status_text(const RunStatus& status) {
  std::string text;
  if (status.last.step > 0 && std::isfinite(status.last.loss))
    text = fmt::format("loss {:.4f}", status.last.loss);
  if (status.last.tokens_per_second > 0)
    text += (text.empty() ? "" : ", ") + format_rate(status.last.tokens_per_second, "tok");
  return text;
}

std::string totals_text(const std::vector<RunStatus>& runs) {
  std::map<std::string, int> counts;
  std::vector<std::string> order;
  for (const RunStatus& run : runs)
    if (counts[run.word()]++ == 0) order.push_back(run.word());
  std::string text;
  for (const std::string& word : order)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[word], word);
  return text.empty() ? "no runs" : text;
}

}  // namespace metascale
