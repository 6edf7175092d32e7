// The ranks of one run, and the operations between them. One interface for one process (single),
// MPI (host memory) and NCCL (device memory) [kernels/cuda/nccl_communicator.hpp].
//
// Every rank calls the same operations in the same order. An operation is begun when it is called
// and works on the caller's memory, in place; wait() returns when all that were begun are done.
// Between the two the caller may compute, but not touch that memory. Operations run one after the
// other.
//
// Sums: the terms of rank 0, 1, 2 ... are added in this order, in f64, and rounded once (integers:
// exactly). So the bits depend on the terms alone: not on which rank was late, nor on the rank that
// asks, and every rank gets the same. Another number of ranks means other terms, hence other
// roundings. NCCL adds in an order of its own, in the dtype of the values, fixed for a number of
// ranks and a machine.
//
// A rank that dies or does not answer ends the run: wait() throws RankLost on every other rank.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.hpp"

namespace metascale {

inline constexpr double default_rank_timeout = 45;  // seconds; with what ends a run, below 60
// Seconds for ranks that were started to come, however short the time-out: a busy machine starts
// some later than others.
inline constexpr double least_meeting_seconds = 15;

enum class Reduction { sum, max };

// Elements [begin, end) of something flat.
struct Range {
  std::int64_t begin = 0, end = 0;
  constexpr std::int64_t size() const { return end - begin; }
  friend constexpr bool operator==(const Range&, const Range&) = default;
};

// The part of `count` things that belongs to `rank`: in the order of ranks, as equal as it goes.
constexpr Range part_of(std::int64_t count, int rank, int ranks) {
  const std::int64_t whole = count / ranks, rest = count % ranks;
  const auto begin = [&](std::int64_t r) { return whole * r + (r < rest ? r : rest); };
  return {begin(rank), begin(rank + 1)};
}

// Ranks that died, or did not answer in time. Its code is run_failed.
struct RankLost : Error {
  RankLost(const std::string& message, std::vector<int> lost)
      : Error(message, ExitCode::run_failed), ranks(std::move(lost)) {}
  std::vector<int> ranks;  // ascending
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int ranks_here() const = 0;  // on this machine, this one counted
  virtual int rank_here() const = 0;   // among those
  virtual const char* name() const = 0;

  // values: the same shape and dtype (f32, f64, bf16 or i32) on every rank.
  virtual void all_reduce(const Tensor& values, Reduction reduction) = 0;
  // Afterwards part_of(size, rank, ranks) of values holds its elements reduced; the rest is
  // undefined.
  virtual void reduce_scatter(const Tensor& values, Reduction reduction) = 0;
  // Each rank's part_of(size, rank, ranks) of values goes to all others.
  virtual void all_gather(const Tensor& values) = 0;
  virtual void broadcast(const Tensor& values, int root) = 0;
  virtual void barrier() = 0;  // done when every rank has begun it

  // Throws RankLost, or what another rank failed with; nothing else can be done with it then but
  // abort.
  virtual void wait() = 0;

  // Runs work, which calls no operation, while the other ranks wait for longer than their time-out:
  // they are told that this one lives.
  virtual void keep_others_waiting(const std::function<void()>& work) = 0;

  // For who waits for something else, such as a GPU, in a wait that began at `start`: to be called
  // often, with nothing begun here, while the other ranks do so or wait here. Throws as wait()
  // does, also where a rank has given no sign of life for the time-out. Returns the seconds since
  // start, or since a rank last kept others waiting; 0 while one of them may be about to be lost.
  virtual double watch(std::chrono::steady_clock::time_point start) = 0;
  virtual double timeout() const = 0;  // seconds without an answer after which a rank is lost

  // Ends this process and all ranks. why: told to those that have not failed yet. Returns where
  // this is the only rank.
  virtual void abort(const std::string& why, ExitCode code) = 0;
};

class SingleCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int ranks_here() const override { return 1; }
  int rank_here() const override { return 0; }
  const char* name() const override { return "single"; }
  void all_reduce(const Tensor&, Reduction) override {}
  void reduce_scatter(const Tensor&, Reduction) override {}
  void all_gather(const Tensor&) override {}
  void broadcast(const Tensor&, int) override {}
  void barrier() override {}
  void wait() override {}
  void keep_others_waiting(const std::function<void()>& work) override { work(); }
  double watch(std::chrono::steady_clock::time_point start) override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double timeout() const override { return default_rank_timeout; }
  void abort(const std::string&, ExitCode) override {}
};

// The ranks that mpirun or srun --mpi=pmix started this process among; single where none did. Once
// per process. timeout: seconds without an answer after which a rank is lost. Throws
// Error{unavailable} if there are ranks that cannot be reached.
std::unique_ptr<Communicator> connect_ranks(double timeout = default_rank_timeout);

// The greatest value of any rank, on every rank. |value| < 2^53.
std::int64_t greatest(Communicator& ranks, std::int64_t value);
// text of rank `root`, on every rank.
std::string broadcast_text(Communicator& ranks, const std::string& text, int root);

}  // namespace metascale
