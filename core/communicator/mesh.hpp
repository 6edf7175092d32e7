// Messages between the processes of a run, with an end to waiting: a peer that died is found by its
// process id (on this machine) or by the time-out, and whoever finds out tells the others.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <vector>

#include "core/communicator.hpp"
#include "core/communicator/transport.hpp"
#include "core/run_lease.hpp"

namespace metascale {

class Mesh {
 public:
  // Waits for all ranks, for the time-out or least_meeting_seconds, whichever is longer; throws
  // RankLost then.
  Mesh(std::unique_ptr<Transport> transport, double timeout_seconds);
  ~Mesh();  // leaves in good order, unless a rank was lost
  Mesh(const Mesh&) = delete;
  Mesh& operator=(const Mesh&) = delete;

  const char* name() const { return transport_->name(); }
  int rank() const { return rank_; }
  int size() const { return size_; }
  int ranks_here(int below) const;  // on this machine, of those below that rank
  double timeout() const { return timeout_; }

  // Sends and receives all of it; every message has its counterpart on the peer. At most 2^31 - 1
  // bytes each; those of no bytes are left out on both sides. `what` names the operation in errors.
  // Throws RankLost, or what another rank failed with.
  void exchange(const std::vector<Message>& receive, const std::vector<Message>& send,
                const char* what);

  void say_alive();  // to all: wait for me
  // Communicator::watch, outside of exchanges.
  double watch(std::chrono::steady_clock::time_point start);
  // To all, once: this rank ends, because of lost (which died or hangs) or of itself.
  void say_failed(const std::string& why, ExitCode code, const std::vector<int>& lost);
  [[noreturn]] void abort(ExitCode code);
  bool has_failed() const { return failed_; }
  const std::vector<int>& lost() const { return lost_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Notice;  // of a failure
  struct Peer {   // as every rank describes itself at the start
    std::array<char, 256> host, boot, pid_namespace;
    std::int64_t pid;
    std::uint64_t start;
  };

  void meet_peers();
  void say_here();
  void wait_for_all(const char* what);
  void look_for_lost(Clock::time_point start, const char* what);
  void hear();  // what others say of themselves; throws what they failed with
  void lose(const std::vector<int>& ranks, const std::string& how, const char* what);
  std::string describe(int rank) const;

  std::unique_ptr<Transport> transport_;
  double timeout_;
  int rank_, size_;
  std::vector<ProcessIdentity> peers_;
  std::vector<Clock::time_point> heard_;  // when a peer last asked to be waited for
  std::vector<Clock::time_point> seen_;   // when it last gave a sign of life
  Clock::time_point said_here_, looked_;
  std::atomic<bool> failed_ = false;
  std::vector<int> lost_;
};

}  // namespace metascale
