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
  SignOfLife(const std::filesystem::path& run_folder, bool writes);

  bool is_due() const;  // some time after the last
  // Throws Error{unavailable} where another process has taken the lease, Error{io}.
  void give(const Heartbeat& heartbeat);

 private:
  std::filesystem::path folder_;
  std::optional<RunLease> lease_;
  Stopwatch since_last_, since_renewal_;
};

}  // namespace metascale
