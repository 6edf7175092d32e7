// The ranks of the host. All operations run on a thread of this communicator, one after the other,
// so that the caller computes meanwhile. Every rank exchanges with every other directly: whoever is
// missing is known by name. Made for host memory and some dozens of ranks; devices talk through
// NCCL.
#include "core/communicator/messages.hpp"

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/communicator/fold.hpp"
#include "core/communicator/mesh.hpp"

namespace metascale {
namespace {

constexpr std::int64_t reduce_elements = 1 << 18;            // of a peer's part at a time
constexpr std::size_t message_bytes = std::size_t(1) << 26;  // at a time, of what needs no sum

std::byte* at(const Tensor& values, std::int64_t element) {
  return static_cast<std::byte*>(values.data) + std::size_t(element) * size_of(values.dtype);
}

class MessageCommunicator final : public Communicator {
 public:
  MessageCommunicator(std::unique_ptr<Transport> transport, double timeout)
      : mesh_(std::move(transport), timeout), worker_([this] { work(); }) {}
  ~MessageCommunicator() override;

  int rank() const override { return mesh_.rank(); }
  int size() const override { return mesh_.size(); }
  int ranks_here() const override { return mesh_.ranks_here(size()); }
  int rank_here() const override { return mesh_.ranks_here(rank()); }
  const char* name() const override { return mesh_.name(); }

  void all_reduce(const Tensor& values, Reduction reduction) override {
    begin([=, this] {
      reduce_parts(values, reduction, "all_reduce");
      gather_parts(values, "all_reduce");
    });
  }
  void reduce_scatter(const Tensor& values, Reduction reduction) override {
    begin([=, this] { reduce_parts(values, reduction, "reduce_scatter"); });
  }
  void all_gather(const Tensor& values) override {
    begin([=, this] { gather_parts(values, "all_gather"); });
  }
  void broadcast(const Tensor& values, int root) override {
    begin([=, this] { send_from(root, values); });
  }
  void barrier() override {
    begin([this] { meet(); });
  }
  void wait() override;
  void keep_others_waiting(const std::function<void()>& work) override;
  double watch(std::chrono::steady_clock::time_point start) override;
  double timeout() const override { return mesh_.timeout(); }
  void abort(const std::string& why, ExitCode code) override;

 private:
  void begin(std::function<void()> operation);
  void work();
  void reduce_parts(const Tensor& values, Reduction reduction, const char* what);
  void gather_parts(const Tensor& values, const char* what);
  void send_from(int root, const Tensor& values);
  void meet();

  Mesh mesh_;
  std::vector<std::vector<std::byte>> received_;  // per peer, for sums
  std::mutex mutex_;                              // of all below
  std::condition_variable changed_;
  std::deque<std::function<void()>> begun_;  // the first is being done
  std::exception_ptr failure_;
  bool holding_ = false, ends_ = false;
  std::thread worker_;  // last: it uses the others
};

MessageCommunicator::~MessageCommunicator() {
  if (!mesh_.has_failed() && std::uncaught_exceptions() == 0) {
    try {
      barrier();
      wait();
    } catch (const Error&) {  // the others' end is no failure of what is done
    }
  }
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void MessageCommunicator::begin(std::function<void()> operation) {
  {
    const std::lock_guard lock(mutex_);
    begun_.push_back(std::move(operation));
  }
  changed_.notify_all();
}

void MessageCommunicator::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return begun_.empty() || failure_; });
  if (failure_) std::rethrow_exception(failure_);
}

// After a failure nothing more is done: the others are somewhere else.
void MessageCommunicator::work() {
  const auto pause = std::chrono::duration<double>(mesh_.timeout() / 8);
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto wake = [&] { return ends_ || (!begun_.empty() && !failure_); };
    if (!changed_.wait_for(lock, pause, wake)) {
      if (holding_) mesh_.say_alive();
      continue;
    }
    if (begun_.empty() || failure_) return;  // ends_
    const auto operation = begun_.front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      operation();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failure_ = failure;
    begun_.pop_front();
    changed_.notify_all();
  }
}

void MessageCommunicator::keep_others_waiting(const std::function<void()>& work) {
  wait();
  const auto hold = [&](bool value) {
    const std::lock_guard lock(mutex_);
    holding_ = value;
  };
  hold(true);
  try {
    work();
  } catch (...) {
    hold(false);
    throw;
  }
  hold(false);
}

// The worker sleeps meanwhile: it leaves the mesh to us.
double MessageCommunicator::watch(std::chrono::steady_clock::time_point start) {
  const std::lock_guard lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
  try {
    return mesh_.watch(start);
  } catch (const Error&) {
    failure_ = std::current_exception();
    throw;
  }
}

void MessageCommunicator::abort(const std::string& why, ExitCode code) {
  mesh_.say_failed(why, code, {});
  std::fflush(nullptr);
  mesh_.abort(code);
}

void MessageCommunicator::reduce_parts(const Tensor& values, Reduction reduction,
                                       const char* what) {
  const std::int64_t count = values.size();
  const auto piece = [&](int rank, std::int64_t first) {
    Range part = part_of(count, rank, size());
    part.begin = std::min(part.begin + first, part.end);
    part.end = std::min(part.end, part.begin + reduce_elements);
    return part;
  };
  const std::int64_t longest = part_of(count, 0, size()).size();
  const std::size_t element = size_of(values.dtype);
  received_.resize(std::size_t(size()));
  for (std::int64_t first = 0; first < longest; first += reduce_elements) {
    const Range mine = piece(rank(), first);
    std::vector<Message> receive, send;
    std::vector<const void*> terms;
    for (int peer = 0; peer < size(); ++peer) {
      auto& scratch = received_[std::size_t(peer)];
      const std::size_t bytes = std::size_t(mine.size()) * element;
      const Range theirs = piece(peer, first);
      if (peer != rank()) {
        scratch.resize(std::max(scratch.size(), bytes));
        receive.push_back({peer, scratch.data(), bytes});
        send.push_back({peer, at(values, theirs.begin), std::size_t(theirs.size()) * element});
      }
      terms.push_back(peer == rank() ? at(values, mine.begin) : scratch.data());
    }
    mesh_.exchange(receive, send, what);
    fold(values.dtype, terms, reduction, mine.size(), at(values, mine.begin));
  }
}

void MessageCommunicator::gather_parts(const Tensor& values, const char* what) {
  const std::size_t element = size_of(values.dtype);
  const auto bytes_of = [&](int rank) {
    return std::size_t(part_of(values.size(), rank, size()).size()) * element;
  };
  const auto message = [&](int peer, int owner, std::size_t first) {
    const std::size_t bytes = bytes_of(owner), begin = std::min(first, bytes);
    return Message{peer, at(values, part_of(values.size(), owner, size()).begin) + begin,
                   std::min(bytes - begin, message_bytes)};
  };
  for (std::size_t first = 0; first < bytes_of(0); first += message_bytes) {
    std::vector<Message> receive, send;
    for (int peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      receive.push_back(message(peer, peer, first));
      send.push_back(message(peer, rank(), first));
    }
    mesh_.exchange(receive, send, what);
  }
}

void MessageCommunicator::send_from(int root, const Tensor& values) {
  for (std::size_t first = 0; first < values.bytes(); first += message_bytes) {
    std::byte* data = static_cast<std::byte*>(values.data) + first;
    const std::size_t bytes = std::min(message_bytes, values.bytes() - first);
    std::vector<Message> receive, send;
    if (rank() != root) receive.push_back({root, data, bytes});
    for (int peer = 0; rank() == root && peer < size(); ++peer)
      if (peer != root) send.push_back({peer, data, bytes});
    mesh_.exchange(receive, send, "broadcast");
  }
}

void MessageCommunicator::meet() {
  std::vector<Message> receive, send;
  std::vector<std::byte> words(std::size_t(size()) + 1);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank()) continue;
    receive.push_back({peer, &words[std::size_t(peer)], 1});
    send.push_back({peer, &words.back(), 1});
  }
  mesh_.exchange(receive, send, "barrier");
}

}  // namespace

std::unique_ptr<Communicator> make_message_communicator(std::unique_ptr<Transport> transport,
                                                        double timeout) {
  return std::make_unique<MessageCommunicator>(std::move(transport), timeout);
}

}  // namespace metascale
