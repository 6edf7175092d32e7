// One model trained by several ranks: each takes its micro-batches of every batch, gradients are
// summed over the ranks bucket by bucket while the backward goes on, and each rank updates its
// shard of the parameters.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "experiments/checkpoint.hpp"
#include "experiments/parameters.hpp"
#include "experiments/program.hpp"
#include "experiments/shards.hpp"

namespace metascale {

// At least this many elements are reduced at once: below, starting an operation costs more than its
// bytes.
inline constexpr std::int64_t bucket_elements = std::int64_t(1) << 20;

class DataParallel {
 public:
  // host: between the ranks, of host memory; devices: of the memory that gradients and values are
  // in (the same on the CPU). memory: of the shards' moments only.
  DataParallel(Communicator& host, Communicator& devices, const Shards& shards,
               ParameterMemory& memory);

  // Sends the execution whose backward completes this rank's gradients, and begins to sum each
  // bucket as soon as it is complete. Returns when the sums of this rank's shard are there, after
  // read() [Program::send].
  void send_and_reduce(Program& program, Queue& queue, std::function<void()> read);

  // After the update of that step: every rank gets all values.
  void gather_values(Queue& queue, std::int64_t step);

  // All ranks call these. whole: on rank 0 all of the tensors, to be filled or to be taken from;
  // null elsewhere.
  void gather(const Queue& queue, const HostArenas* whole);
  void scatter(const Queue& queue, const HostArenas* whole);

 private:
  Tensor bucket_of(const Buffer& arena, const Bucket& bucket) const;
  template <typename Body>
  void for_buckets(Body&& body);

  Communicator &host_, &devices_;
  const Shards& shards_;
  ParameterMemory& memory_;
};

// The windows of a rank's micro-batch when `rows` windows are shared by `ranks`: the largest
// divisor of rows that is at most `wanted` and leaves every rank one. Throws Error{usage} where
// there are more ranks than rows.
std::int64_t shared_micro_batch(std::int64_t rows, int ranks, std::int64_t wanted);

}  // namespace metascale
