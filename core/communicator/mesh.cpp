#include "core/communicator/mesh.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

namespace metascale {
namespace {

constexpr int data_tag = 1, alive_tag = 2, failed_tag = 3;
constexpr double look_seconds = 0.1;  // between two looks at whether peers are alive
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

Mesh::Mesh(double timeout_seconds) : timeout_(timeout_seconds) {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "start");
  if (provided < MPI_THREAD_MULTIPLE)
    throw Error("this MPI was built without threads (MPI_THREAD_MULTIPLE), which ranks need",
                ExitCode::unavailable);
  check(MPI_Comm_dup(MPI_COMM_WORLD, &data_), "start");
  check(MPI_Comm_dup(MPI_COMM_WORLD, &control_), "start");
  for (const MPI_Comm comm : {MPI_COMM_WORLD, data_, control_})
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(data_, &rank_);
  MPI_Comm_size(data_, &size_);
  meet_peers();
  heard_.resize(std::size_t(size_), Clock::now());
}

Mesh::~Mesh() {
  if (!failed_) MPI_Finalize();  // it waits for all ranks
}

void Mesh::meet_peers() {
  const ProcessIdentity me = this_process();
  Peer mine{.pid = me.pid, .start = me.start};
  put(mine.host, me.host), put(mine.boot, me.boot), put(mine.pid_namespace, me.pid_namespace);
  std::vector<Peer> all(std::size_t(size_), mine);
  check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, data_),
        "start");
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
  const ProcessIdentity& peer = peers_[std::size_t(rank)];
  return concat("rank ", rank, " (process ", peer.pid, " on ", peer.host, ")");
}

void Mesh::check(int status, const char* what) {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  failed_ = true;
  throw Error(concat("MPI failed in ", what, " on rank ", rank_, ": ", text.data()),
              ExitCode::run_failed);
}

void Mesh::exchange(const std::vector<Message>& receive, const std::vector<Message>& send,
                    const char* what) {
  std::vector<MPI_Request> requests;
  std::vector<int> peers;
  const auto post = [&](const Message& message, auto&& begin) {
    if (message.bytes == 0) return;
    requests.push_back(MPI_REQUEST_NULL);
    peers.push_back(message.peer);
    check(begin(message.data, int(message.bytes), MPI_BYTE, message.peer, data_tag, data_,
                &requests.back()),
          what);
  };
  for (const Message& message : receive) post(message, MPI_Irecv);
  for (const Message& message : send) post(message, MPI_Isend);
  wait_for(requests, peers, what);
}

void Mesh::wait_for(std::vector<MPI_Request>& requests, const std::vector<int>& peers,
                    const char* what) {
  const auto start = Clock::now();
  auto looked = start;
  for (int round = 0;; ++round) {
    int done = 0;
    check(MPI_Testall(int(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE), what);
    if (done) return;
    if (round > naps)
      std::this_thread::sleep_for(nap);
    else if (round > spins)
      std::this_thread::yield();
    if (round % 64 != 0) continue;
    hear();
    if (seconds_since(looked) < look_seconds) continue;
    looked = Clock::now();
    std::vector<int> dead, silent;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      int arrived = 0;
      check(MPI_Request_get_status(requests[i], &arrived, MPI_STATUS_IGNORE), what);
      if (arrived) continue;
      if (has_ended(peers_[std::size_t(peers[i])])) dead.push_back(peers[i]);
      if (seconds_since(std::max(start, heard_[std::size_t(peers[i])])) > timeout_)
        silent.push_back(peers[i]);
    }
    if (!dead.empty()) lose(dead, "died", what);
    if (!silent.empty()) lose(silent, concat("did not answer for ", timeout_, " s"), what);
  }
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
    if (peer != rank_) MPI_Send(nullptr, 0, MPI_BYTE, peer, alive_tag, control_);
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
    if (peer == rank_ || has_ended(peers_[std::size_t(peer)])) continue;
    MPI_Request request;  // buffered by MPI: it is short, and its receiver may be anywhere
    if (MPI_Isend(&notice, sizeof notice, MPI_BYTE, peer, failed_tag, control_, &request) ==
        MPI_SUCCESS)
      MPI_Request_free(&request);
  }
}

void Mesh::hear() {
  MPI_Status status;
  for (int arrived = 1; arrived;) {
    check(MPI_Iprobe(MPI_ANY_SOURCE, alive_tag, control_, &arrived, &status), "waiting");
    if (!arrived) break;
    MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, alive_tag, control_, MPI_STATUS_IGNORE);
    heard_[std::size_t(status.MPI_SOURCE)] = Clock::now();
  }
  int arrived = 0;
  check(MPI_Iprobe(MPI_ANY_SOURCE, failed_tag, control_, &arrived, &status), "waiting");
  if (!arrived) return;
  Notice notice;
  MPI_Recv(&notice, sizeof notice, MPI_BYTE, status.MPI_SOURCE, failed_tag, control_,
           MPI_STATUS_IGNORE);
  failed_ = true;
  notice.text.back() = '\0';
  lost_.assign(notice.lost.begin(),
               notice.lost.begin() + std::clamp(notice.lost_count, 0, int(Notice::most_lost)));
  if (!lost_.empty()) throw RankLost(notice.text.data(), lost_);
  throw Error(notice.text.data(), ExitCode(notice.code));
}

// Rank 0, or the first that is left, has the last word in the run's folder: the others give it
// time.
void Mesh::abort(ExitCode code) {
  int first = 0;
  while (first < rank_ && std::find(lost_.begin(), lost_.end(), first) != lost_.end()) ++first;
  const bool is_first = first == rank_;
  std::this_thread::sleep_for(is_first ? std::chrono::milliseconds(300)
                                       : std::chrono::milliseconds(5000));
  MPI_Abort(MPI_COMM_WORLD, int(code));
  ::_exit(int(code));
}

}  // namespace metascale
