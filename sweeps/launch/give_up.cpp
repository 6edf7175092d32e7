#include "sweeps/launch/give_up.hpp"

#include <fmt/format.h>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "sweeps/attempt.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

void end_as(AttemptEnd end, const fs::path& run_folder, std::vector<Attempt>& attempts) {
  attempts.back().end = end;
  write_attempt(run_folder, attempts.back());
}

}  // namespace

std::string give_up_stalled(const fs::path& run_folder, const Submission& submission) {
  std::vector<Attempt> attempts = read_attempts(run_folder);
  if (attempts.empty()) return "";
  close_last(run_folder, attempts);
  const std::int64_t stalls = stalled_timeouts(attempts);
  if (stalls < submission.job.max_stalled_timeouts) return "";
  std::string why = fmt::format(
      "{} time limits in a row came before a new checkpoint; raise resources.time ({:.0f} s), or "
      "lower log.checkpoint_every, and call metascale submit --retry",
      stalls, submission.resources.time);
  write_file_atomically(run_folder / "FAILED", why + "\n");
  end_as(AttemptEnd::failed, run_folder, attempts);
  return why;
}

std::string give_up_lost(const fs::path& run_folder, const Submission& submission, int code,
                         const std::string& reason) {
  std::vector<Attempt> attempts = read_attempts(run_folder);
  end_as(AttemptEnd::lost, run_folder, attempts);
  const std::int64_t losses = losses_in_a_row(attempts);
  if (losses <= submission.retries) return "";
  end_as(AttemptEnd::failed, run_folder, attempts);
  std::string why =
      fmt::format("{}; {} starts in a row ended so without a new checkpoint", reason, losses);
  // 69 says nothing about the run, and leaves no mark [Executor].
  if (code != int(ExitCode::unavailable)) write_file_atomically(run_folder / "FAILED", why + "\n");
  return why;
}

}  // namespace metascale
