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
    for (int rank = 0; rank < ranks.count && lost_.empty(); ++rank) start(rank, links);
  }

  EndedLocalRanks wait() {
    if (!lost_.empty()) return {.code = int(ExitCode::run_failed), .lost = lost_};
    int told = 0;
    std::optional<Clock::time_point> limit;  // for the others, once one has failed
    while (look()) {
      const int asked = ranks_.signal ? ranks_.signal() : 0;
      if (asked != told) send(told = asked);
      if (!limit && !failures_.empty())
        limit = Clock::now() + std::chrono::milliseconds(std::int64_t(1e3 * ranks_.grace_seconds));
      if (limit && Clock::now() > *limit) kill_those_left();
      std::this_thread::sleep_for(tick);
    }
    return {.code = code(), .lost = told == 0 ? lost_ : ""};
  }

 private:
  struct Rank {
    Child child;
    pid_t process;
    bool has_ended = false;
  };
  struct Failure {
    std::size_t rank;
    int code;
  };

  void start(int rank, const Links& links) {
    try {
      Child child({.program = ranks_.words.front(),
                   .arguments = {ranks_.words.begin() + 1, ranks_.words.end()},
                   .environment = {links.description(rank)},
                   .output = {},
                   .cores = {},
                   .descriptors = links.descriptors(rank),
                   .start_seconds = ranks_.start_seconds});
      const pid_t process = child.process();
      all_.push_back({.child = std::move(child), .process = process});
    } catch (const NotStarted& error) {
      lost_ = concat("rank ", rank, ": ", error.what());
    }
  }

  bool look() {  // whether any lives
    bool any = false;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      Rank& rank = all_[i];
      if (rank.has_ended) continue;
      const std::optional<int> code = rank.child.poll();
      any = any || !code;
      if (!code) continue;
      rank.has_ended = true;
      if (!is_failure(*code)) continue;
      failures_.push_back({i, *code});
      if (*code > 128 && lost_.empty())
        lost_ = concat(name(i), " was ended by signal ", *code - 128, " (",
                       ::strsignal(*code - 128), ")");
    }
    return any;
  }

  void send(int signal) {
    for (Rank& rank : all_) rank.child.send(signal);
  }

  void kill_those_left() {
    for (std::size_t i = 0; i < all_.size(); ++i)
      if (!all_[i].has_ended && lost_.empty())
        lost_ = concat(name(i), " hung: it was killed ", ranks_.grace_seconds, " s after ",
                       name(failures_[0].rank), " had ended with exit code ", failures_[0].code);
    send(SIGKILL);
  }

  std::string name(std::size_t rank) const {
    return concat("rank ", rank, " (process ", all_[rank].process, ")");
  }

  int code() {
    for (const Failure& failure : failures_)
      if (failure.code < 128) return failure.code;
    return failures_.empty() ? *all_.front().child.poll() : failures_[0].code;
  }

  static bool is_failure(int code) {
    return code != int(ExitCode::good) && code != int(ExitCode::saved) &&
           code != int(ExitCode::interrupted);
  }

  const LocalRanks& ranks_;
  std::vector<Rank> all_;
  std::vector<Failure> failures_;  // in the order in which they were seen
  std::string lost_;
};

}  // namespace

EndedLocalRanks run_local_ranks(const LocalRanks& ranks) { return Ranks(ranks).wait(); }

}  // namespace metascale
