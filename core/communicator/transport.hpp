// What carries messages between the processes of one run: MPI, or the sockets of `train --ranks`.
// Nothing in an exchange waits; whether a peer lives is the mesh's to find out, but for ended()
// before the ranks have met.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace metascale {

struct Message {
  int peer = 0;
  void* data = nullptr;
  std::size_t bytes = 0;  // above 0, below 2^31
};

// What a rank says of itself, beside the data.
enum class Word { alive, failed };
struct Heard {
  int peer = 0;
  Word word = Word::alive;
  std::vector<std::byte> text;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual const char* name() const = 0;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Begins to move these, at most one each way for each peer. One exchange at a time.
  virtual void begin(const std::vector<Message>& receive, const std::vector<Message>& send) = 0;
  virtual bool is_done() = 0;                      // moves what can be moved
  virtual std::vector<int> still_awaited() = 0;    // peers whose messages are not through
  virtual std::vector<int> ended() { return {}; }  // of those, who is known to have ended

  // At most most_text bytes. A peer that is gone is told nothing.
  static constexpr std::size_t most_text = 1024;
  virtual void tell(int peer, Word word, std::span<const std::byte> text) = 0;
  virtual std::optional<Heard> hear() = 0;

  virtual void leave() = 0;  // in good order, after the last exchange
  [[noreturn]] virtual void abort(int code) = 0;
};

// The ranks of mpirun or srun. MPI waits for all of them and knows no time-out: after so many
// seconds (default_rank_timeout at least) this says so on stderr, and ends the process with 69.
// Throws Error{unavailable} in a program that was built without MPI.
std::unique_ptr<Transport> connect_mpi(double timeout);
// The ranks of run_local_ranks() [core/local_ranks.hpp]; none where it did not start this process.
std::unique_ptr<Transport> connect_sockets();

}  // namespace metascale
