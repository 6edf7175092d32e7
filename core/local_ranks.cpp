#include "core/local_ranks.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "core/child.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto tick = std::chrono::milliseconds(10);

class SocketPair {
 public:
  explicit SocketPair(int type) {
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends_) != 0)
      throw Error(concat("cannot make the sockets of ranks: ", std::strerror(errno),
                         "; raise the limit of open files (ulimit -n)"),
                  ExitCode::unavailable);
  }
  ~SocketPair() {
    for (const int end : ends_)
      if (end >= 0) ::close(end);
  }
  SocketPair(SocketPair&& other) noexcept : ends_{other.ends_[0], other.ends_[1]} {
    other.ends_[0] = other.ends_[1] = -1;
  }
  SocketPair& operator=(SocketPair&&) = delete;
  int end(bool second) const { return ends_[second]; }

 private:
  int ends_[2] = {-1, -1};
};

// The sockets between every two ranks, and what each rank is told of its own.
class Links {
 public:
  explicit Links(int count) : count_(count) {
    for (int pair = 0; pair < count * count; ++pair) {
      const bool is_used = pair / count < pair % count;
      pairs_.push_back(
          is_used ? std::optional<Pair>(Pair{SocketPair(SOCK_STREAM), SocketPair(SOCK_SEQPACKET)})
                  : std::nullopt);
    }
  }

  std::vector<int> descriptors(int rank) const {  // data and control of each peer
    std::vector<int> all;
    for (int peer = 0; peer < count_; ++peer) {
      if (peer == rank) continue;
      const int low = std::min(rank, peer), high = std::max(rank, peer);
      const Pair& pair = *pairs_[std::size_t(low) * std::size_t(count_) + std::size_t(high)];
      all.push_back(pair.data.end(rank == high));
      all.push_back(pair.control.end(rank == high));
    }
    return all;
  }
  std::string description(int rank) const {
    std::string text = concat(ranks_variable, "=", rank, " ", count_);
    for (const int descriptor : descriptors(rank)) text += concat(" ", descriptor);
    return text;
  }

 private:
  struct Pair {
    SocketPair data, control;
  };
  int count_;
  std::vector<std::optional<Pair>> pairs_;  // [lower rank * count + higher]
};

class Ranks {
 public:
  explicit Ranks(const LocalRanks& ranks) : ranks_(ranks) {
    const Links links(ranks.count);
    for (int rank = 0; rank < ranks.count; ++rank)
      all_.emplace_back(ChildCommand{.program = ranks.words.front(),
                                     .arguments = {ranks.words.begin() + 1, ranks.words.end()},
                                     .environment = {links.description(rank)},
                                     .output = {},
                                     .cores = {},
                                     .descriptors = links.descriptors(rank)});
  }

  int wait() {
    int told = 0;
    std::optional<Clock::time_point> limit;  // for the others, once one has failed
    while (look()) {
      const int asked = ranks_.signal ? ranks_.signal() : 0;
      if (asked != told) send(told = asked);
      if (!limit && code_of_failure())
        limit = Clock::now() + std::chrono::milliseconds(std::int64_t(1e3 * ranks_.grace_seconds));
      if (limit && Clock::now() > *limit) send(SIGKILL);
      std::this_thread::sleep_for(tick);
    }
    return code_of_failure().value_or(*all_.front().poll());
  }

 private:
  bool look() {  // whether any lives
    return std::count_if(all_.begin(), all_.end(), [](Child& rank) { return !rank.poll(); }) > 0;
  }

  void send(int signal) {
    for (Child& rank : all_) rank.send(signal);
  }

  // Of the first rank that failed by itself; else of one that a signal ended.
  std::optional<int> code_of_failure() {
    std::optional<int> killed;
    for (Child& rank : all_) {
      const std::optional<int> code = rank.poll();
      if (!code || !is_failure(*code)) continue;
      if (*code < 128) return code;
      killed = code;
    }
    return killed;
  }

  static bool is_failure(int code) {
    return code != int(ExitCode::good) && code != int(ExitCode::saved) &&
           code != int(ExitCode::interrupted);
  }

  const LocalRanks& ranks_;
  std::vector<Child> all_;
};

}  // namespace

int run_local_ranks(const LocalRanks& ranks) { return Ranks(ranks).wait(); }

}  // namespace metascale
