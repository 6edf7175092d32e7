#include "core/communicator/mesh.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace metascale {
namespace {

constexpr double look_seconds = 0.1;  // between two looks at whether peers are alive
constexpr double patience = 1.25;     // of the time-out, with who gives signs of life
constexpr int spins = 200;            // before a wait gives its core away
constexpr int naps = 2000;            // before it sleeps
constexpr auto nap = std::chrono::microseconds(50);

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <std::size_t Size>
void put(std::array<char, Size>& target, const std::string& text) {
  target.fill('\0');
  std::copy_n(text.data(), std::min(text.size(), Size - 1), target.data());
}

}  // namespace

struct Mesh::Notice {
  static constexpr std::size_t most_lost = 16;  // that fit
  std::int32_t code = 0, lost_count = 0;
  std::array<std::int32_t, most_lost> lost{};
  std::array<char, 700> text{};
};

Mesh::Mesh(std::unique_ptr<Transport> transport, double timeout_seconds)
    : transport_(std::move(transport)),
      timeout_(timeout_seconds),
      rank_(transport_->rank()),
      size_(transport_->size()),
      heard_(std::size_t(size_), Clock::now()),
      seen_(heard_) {
  meet_peers();
}

Mesh::~Mesh() {
  if (!failed_) transport_->leave();
}

// Who does not come is known by its number only, and has perhaps no process.
void Mesh::meet_peers() {
  const ProcessIdentity me = this_process();
  Peer mine{.pid = me.pid, .start = me.start};
  put(mine.host, me.host), put(mine.boot, me.boot), put(mine.pid_namespace, me.pid_namespace);
  std::vector<Peer> all(std::size_t(size_), mine);
  std::vector<Message> receive, send;
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    receive.push_back({peer, &all[std::size_t(peer)], sizeof mine});
    send.push_back({peer, &mine, sizeof mine});
  }
  transport_->begin(receive, send);
  const auto start = Clock::now();
  const double limit = std::max(timeout_, least_meeting_seconds);
  const char* what = "their meeting at the start";
  while (!transport_->is_done()) {
    std::this_thread::sleep_for(nap);
    if (seconds_since(looked_) < look_seconds) continue;
    looked_ = Clock::now();
    hear();
    if (const std::vector<int> ended = transport_->ended(); !ended.empty())
      lose(ended, "ended", what);
    if (seconds_since(start) > limit)
      lose(transport_->still_awaited(), concat("did not come for ", limit, " s"), what);
  }
  for (const Peer& peer : all)
    peers_.push_back({.host = peer.host.data(),
                      .boot = peer.boot.data(),
                      .pid_namespace = peer.pid_namespace.data(),
                      .pid = pid_t(peer.pid),
                      .start = peer.start});
}

int Mesh::ranks_here(int below) const {
  const ProcessIdentity& me = peers_[std::size_t(rank_)];
  return int(std::count_if(
      peers_.begin(), peers_.begin() + below,
      [&](const ProcessIdentity& peer) { return peer.host == me.host && peer.boot == me.boot; }));
}

std::string Mesh::describe(int rank) const {
  if (peers_.empty()) return concat("rank ", rank);  // we have not met
  const ProcessIdentity& peer = peers_[std::size_t(rank)];
  return concat("rank ", rank, " (process ", peer.pid, " on ", peer.host, ")");
}

void Mesh::exchange(const std::vector<Message>& receive, const std::vector<Message>& send,
                    const char* what) {
  const auto of_bytes = [](std::vector<Message> messages) {
    std::erase_if(messages, [](const Message& message) { return message.bytes == 0; });
    return messages;
  };
  try {
    transport_->begin(of_bytes(receive), of_bytes(send));
    wait_for_all(what);
  } catch (const Error&) {
    failed_ = true;
    throw;
  }
}

void Mesh::wait_for_all(const char* what) {
  const auto start = Clock::now();
  auto looked = start;
  for (int round = 0; !transport_->is_done(); ++round) {
    if (round > naps)
      std::this_thread::sleep_for(nap);
    else if (round > spins)
      std::this_thread::yield();
    if (round % 64 != 0) continue;
    hear();
    if (seconds_since(looked) < look_seconds) continue;
    looked = Clock::now();
    if (seconds_since(start) > timeout_ / 8) say_here();
    look_for_lost(start, what);
  }
}

// Unlike in an exchange, nothing tells whom we wait for: whoever waits, too, says so.
double Mesh::watch(Clock::time_point start) {
  hear();
  say_here();
  double waited = seconds_since(start);
  bool are_all_here = true;
  std::vector<int> dead, silent;
  const bool looks = seconds_since(looked_) >= look_seconds;
  if (looks) looked_ = Clock::now();
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) continue;
    const std::size_t i = std::size_t(peer);
    if (looks && has_ended(peers_[i])) dead.push_back(peer);
    const double quiet = seconds_since(std::max(start, seen_[i]));
    if (quiet > timeout_) silent.push_back(peer);
    are_all_here = are_all_here && quiet < timeout_ / 3;
    waited = std::min(waited, seconds_since(heard_[i]));
  }
  const char* what = "an operation of the GPUs";
  try {
    if (!dead.empty()) lose(dead, "died", what);
    if (!silent.empty()) lose(silent, concat("gave no sign of life for ", timeout_, " s"), what);
  } catch (const Error&) {
    failed_ = true;
    throw;
  }
  return are_all_here ? waited : 0;
}

// Who waits for a rank that waits itself is not to blame it: that one finds out whom it waits for,
// and is given more time to.
void Mesh::look_for_lost(Clock::time_point start, const char* what) {
  std::vector<int> dead, silent, stuck;
  for (const int peer : transport_->still_awaited()) {
    const std::size_t i = std::size_t(peer);
    if (has_ended(peers_[i])) dead.push_back(peer);
    const double waited = seconds_since(std::max(start, heard_[i]));
    const bool gives_signs_of_life = seconds_since(seen_[i]) < timeout_ / 2;
    if (!gives_signs_of_life && waited > timeout_) silent.push_back(peer);
    if (gives_signs_of_life && waited > patience * timeout_) stuck.push_back(peer);
  }
  if (!dead.empty()) lose(dead, "died", what);
  const auto lose_after = [&](const std::vector<int>& ranks, double seconds) {
    if (!ranks.empty()) lose(ranks, concat("did not answer for ", seconds, " s"), what);
  };
  lose_after(silent, timeout_);
  lose_after(stuck, patience * timeout_);
}

void Mesh::lose(const std::vector<int>& found, const std::string& how, const char* what) {
  hear();  // a rank that fails says so before it ends: that is the better story
  std::vector<int> ranks = found;
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  std::string who;
  for (const int rank : ranks) who += (who.empty() ? "" : " and ") + describe(rank);
  const std::string why = concat(who, " ", how, "; rank ", rank_, " waited for it in ", what);
  say_failed(why, ExitCode::run_failed, ranks);
  throw RankLost(why, ranks);
}

void Mesh::say_alive() {
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_) transport_->tell(peer, Word::alive, {});
}

// Some times within the time-out, while we wait: told apart from say_alive() by its text, since two
// that wait for each other must not wait for ever.
void Mesh::say_here() {
  if (seconds_since(said_here_) < timeout_ / 8) return;
  said_here_ = Clock::now();
  static constexpr std::byte here{1};
  for (int peer = 0; peer < size_; ++peer)
    if (peer != rank_) transport_->tell(peer, Word::alive, std::span(&here, 1));
}

void Mesh::say_failed(const std::string& why, ExitCode code, const std::vector<int>& lost) {
  if (failed_.exchange(true)) return;
  lost_ = lost;
  Notice notice{.code = std::int32_t(code),
                .lost_count = std::int32_t(std::min(lost.size(), Notice::most_lost))};
  std::copy_n(lost.begin(), notice.lost_count, notice.lost.begin());
  put(notice.text, lost.empty() ? concat(describe(rank_), " failed: ", why) : why);
  for (int peer = 0; peer < size_; ++peer) {
    // One that hung hears it too: it may wake up when it is ended, and must not think others were
    // lost.
    if (peer == rank_) continue;
    if (!peers_.empty() && has_ended(peers_[std::size_t(peer)])) continue;
    transport_->tell(peer, Word::failed, std::as_bytes(std::span(&notice, 1)));
  }
}

void Mesh::hear() {
  while (const std::optional<Heard> heard = transport_->hear()) {
    if (heard->word == Word::alive) {
      seen_[std::size_t(heard->peer)] = Clock::now();
      if (heard->text.empty()) heard_[std::size_t(heard->peer)] = Clock::now();
      continue;
    }
    Notice notice;
    static_assert(sizeof notice <= Transport::most_text);
    failed_ = true;
    if (heard->text.size() != sizeof notice)
      throw Error(concat(describe(heard->peer), " failed"), ExitCode::run_failed);
    std::memcpy(&notice, heard->text.data(), sizeof notice);
    notice.text.back() = '\0';
    lost_.assign(notice.lost.begin(),
                 notice.lost.begin() + std::clamp(notice.lost_count, 0, int(Notice::most_lost)));
    if (!lost_.empty()) throw RankLost(notice.text.data(), lost_);
    throw Error(notice.text.data(), ExitCode(notice.code));
  }
}

// Rank 0, or the first that is left, has the last word in the run's folder: the others give it
// time.
void Mesh::abort(ExitCode code) {
  int first = 0;
  while (first < rank_ && std::find(lost_.begin(), lost_.end(), first) != lost_.end()) ++first;
  const bool is_first = first == rank_;
  std::this_thread::sleep_for(is_first ? std::chrono::milliseconds(300)
                                       : std::chrono::milliseconds(5000));
  transport_->abort(int(code));
  std::abort();  // not reached
}

}  // namespace metascale
