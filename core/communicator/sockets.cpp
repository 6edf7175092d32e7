// Messages over sockets that run_local_ranks() made: for each pair of ranks a stream of data, and
// one of short messages beside it. An exchange with a peer that died is never done: the mesh finds
// it by its process, or, before the ranks have met, by ended().
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/communicator/transport.hpp"
#include "core/error.hpp"
#include "core/local_ranks.hpp"

namespace metascale {
namespace {

struct Link {
  int data = -1, control = -1;
};

class SocketTransport final : public Transport {
 public:
  explicit SocketTransport(const std::string& description);
  ~SocketTransport() override;

  const char* name() const override { return "sockets"; }
  int rank() const override { return rank_; }
  int size() const override { return int(links_.size()); }
  void begin(const std::vector<Message>& receive, const std::vector<Message>& send) override {
    receive_ = receive, send_ = send;
  }
  bool is_done() override;
  std::vector<int> still_awaited() override;
  std::vector<int> ended() override;
  void tell(int peer, Word word, std::span<const std::byte> text) override;
  std::optional<Heard> hear() override;
  void leave() override {}  // what was sent arrives without us
  [[noreturn]] void abort(int code) override { ::_exit(code); }

 private:
  // Moves what can be moved of one message. Returns whether it is through.
  template <typename Move>
  static bool move(Message& message, Move&& some);

  int rank_ = 0;
  std::vector<Link> links_;              // of each rank; none to ourselves
  std::vector<Message> receive_, send_;  // what is left of them
};

SocketTransport::SocketTransport(const std::string& description) {
  std::istringstream words(description);
  int count = 0;
  words >> rank_ >> count;
  links_.resize(std::size_t(std::max(count, 0)));
  for (int peer = 0; peer < count; ++peer) {
    if (peer == rank_) continue;
    Link& link = links_[std::size_t(peer)];
    words >> link.data >> link.control;
    for (const int descriptor : {link.data, link.control})
      if (!words || ::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0)
        throw Error(concat(ranks_variable, " is '", description,
                           "', which names no sockets of this process; unset it"),
                    ExitCode::unavailable);
  }
}

SocketTransport::~SocketTransport() {
  for (const Link& link : links_)
    for (const int descriptor : {link.data, link.control})
      if (descriptor >= 0) ::close(descriptor);
}

template <typename Move>
bool SocketTransport::move(Message& message, Move&& some) {
  while (message.bytes > 0) {
    const ssize_t count = some(message.data, message.bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;  // not now, or never: the peer has ended
    message.data = static_cast<std::byte*>(message.data) + count;
    message.bytes -= std::size_t(count);
  }
  return true;
}

bool SocketTransport::is_done() {
  std::erase_if(receive_, [&](Message& message) {
    return move(message, [&](void* data, std::size_t bytes) {
      return ::recv(links_[std::size_t(message.peer)].data, data, bytes, MSG_DONTWAIT);
    });
  });
  std::erase_if(send_, [&](Message& message) {
    return move(message, [&](const void* data, std::size_t bytes) {
      return ::send(links_[std::size_t(message.peer)].data, data, bytes,
                    MSG_DONTWAIT | MSG_NOSIGNAL);
    });
  });
  return receive_.empty() && send_.empty();
}

std::vector<int> SocketTransport::still_awaited() {
  std::vector<int> peers;
  for (const auto* messages : {&receive_, &send_})
    for (const Message& message : *messages) peers.push_back(message.peer);
  return peers;
}

// Its end of the stream is closed, and all that it sent has been read.
std::vector<int> SocketTransport::ended() {
  std::vector<int> peers;
  std::byte next;
  for (const Message& message : receive_)
    if (::recv(links_[std::size_t(message.peer)].data, &next, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
      peers.push_back(message.peer);
  return peers;
}

void SocketTransport::tell(int peer, Word word, std::span<const std::byte> text) {
  std::array<std::byte, most_text + 1> packet{std::byte(word)};
  std::copy(text.begin(), text.end(), packet.begin() + 1);
  // Where it does not fit, the peer has not listened for thousands of words: it will hear those.
  (void)::send(links_[std::size_t(peer)].control, packet.data(), text.size() + 1,
               MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::optional<Heard> SocketTransport::hear() {
  std::array<std::byte, most_text + 1> packet;
  for (std::size_t peer = 0; peer < links_.size(); ++peer) {
    if (int(peer) == rank_) continue;
    const ssize_t count = ::recv(links_[peer].control, packet.data(), packet.size(), MSG_DONTWAIT);
    if (count < 1) continue;
    return Heard{.peer = int(peer),
                 .word = packet[0] == std::byte(Word::alive) ? Word::alive : Word::failed,
                 .text = {packet.begin() + 1, packet.begin() + count}};
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Transport> connect_sockets() {
  const char* description = std::getenv(ranks_variable);
  if (!description) return nullptr;
  auto transport = std::make_unique<SocketTransport>(description);
  ::unsetenv(ranks_variable);  // what this rank starts is none of them
  return transport;
}

}  // namespace metascale
