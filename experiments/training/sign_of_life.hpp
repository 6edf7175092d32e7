// What the process of a run says while it works: the heartbeat in state.json, and that the lease on
// the run's folder is still held.
#pragma once

#include <filesystem>
#include <optional>

#include "core/heartbeat.hpp"
#include "core/run_lease.hpp"
#include "experiments/training/stopwatch.hpp"

namespace metascale {

class SignOfLife {
 public:
  // Takes the folder's lease, until its end. Throws Error{unavailable} as RunLease does. writes:
  // false on the ranks that leave all this to rank 0.
  // renewal_seconds: a lease that was renewed so long ago is renewed before anything is written.
  SignOfLife(const std::filesystem::path& run_folder, bool writes, double renewal_seconds);

  // Throws Error{unavailable} where another process has taken the lease, which then owns the
  // folder. Renews it where that is due, or surely; so a process that stood still, or slept with
  // its machine, finds out before it writes.
  void expect_ours(bool surely);
  bool is_due() const;  // some time after the last
  // Throws as expect_ours, Error{io}.
  void give(const Heartbeat& heartbeat);

 private:
  std::filesystem::path folder_;
  double renewal_seconds_;
  std::optional<RunLease> lease_;
  double renewed_;  // seconds since the boot
  Stopwatch since_last_;
};

}  // namespace metascale
