// Who works in a run folder: lease.json names one process. No flock, which network file systems
// lack: a lease is created by link(2), which is exclusive everywhere, and its holder is known to be
// dead when its process is gone, its machine was started again, or (on another machine, or in
// another container) when it is of an earlier start of the Slurm job that we are in, or has not
// renewed it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace metascale {

// What tells one process from all others, also after its id was used again.
struct ProcessIdentity {
  std::string host;
  std::string boot;           // id of the machine's start
  std::string pid_namespace;  // process ids of containers mean nothing outside
  pid_t pid = 0;
  std::uint64_t start = 0;  // of the process, in clock ticks since the boot
};
ProcessIdentity this_process();
// Whether that process is known to be gone; false where this machine cannot tell.
bool has_ended(const ProcessIdentity& process);
// Since this process began; what it executed before it became this program counts, too.
double seconds_since_start();

class RunLease {
 public:
  static constexpr double default_stale_seconds = 600;  // some 30 renewals

  // Takes the folder's lease. Throws Error{unavailable} naming its holder while that lives, or may
  // live on another machine because it was renewed within the last stale_seconds. what: the
  // folder holds, for these messages; a sweep's folder has a lease, too.
  explicit RunLease(const std::filesystem::path& run_folder,
                    double stale_seconds = default_stale_seconds, const char* what = "run");
  ~RunLease();  // gives it back
  RunLease(const RunLease&) = delete;
  RunLease& operator=(const RunLease&) = delete;

  bool was_taken_over() const { return taken_over_; }  // from a holder that died
  // Says that we live; call it with each heartbeat. Throws Error{unavailable} if another process
  // has taken it, which then owns the folder: write nothing more.
  void renew();

 private:
  bool is_ours() const;
  std::string text() const;
  std::filesystem::path path_;
  std::string token_;  // unique to this lease
  std::string what_;
  bool taken_over_ = false;
};

// Whether the folder's lease names a process that is known to be gone: its run was lost.
bool lease_holder_is_gone(const std::filesystem::path& run_folder);
// Until a holder that cannot be looked at from here has lost the folder's lease, unless it renews
// it. 0: there is none such, or whether it lives is known.
double seconds_until_stale(const std::filesystem::path& run_folder,
                           double stale_seconds = RunLease::default_stale_seconds);

}  // namespace metascale
