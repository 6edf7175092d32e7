// The GPUs of a run's ranks as one communicator, over NCCL: operations on memory of the GPU.
#pragma once

#include <memory>

#include "core/communicator.hpp"
#include "kernels/queue.hpp"

namespace metascale {

// host: the same ranks, by which the GPUs find each other, and by which a rank that is lost gets a
// name; it outlives the result. queue: of this rank's GPU; an operation begins when what the queue
// was given before it is done, and wait() returns when its result can be read; no operation of host
// may be under way meanwhile. Time-outs are those of host. All ranks call it. Throws
// Error{unavailable} in a program that was built without NCCL, RankLost, or Error{run_failed} with
// NCCL's reason (two ranks on one GPU).
std::unique_ptr<Communicator> connect_gpus(const Queue& queue, Communicator& host);

}  // namespace metascale
