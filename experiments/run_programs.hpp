// The programs that a run executes, and the memory that it takes of its device: known from the
// configuration alone, before anything is allocated.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/program.hpp"

namespace metascale {

// A micro-batch forward and backward, and the forwards of the run's evaluations. One executes at a
// time, so that they share the memory of their activations.
class RunPrograms {
 public:
  // Records them for one of the ranks; declares the model's parameters in list. Nothing is
  // allocated.
  RunPrograms(const RunConfig& config, std::int64_t micro_batch, int ranks, ParameterList& list);

  void allocate(Device device, const ParameterMemory& parameters);

  Program& training() { return *training_; }
  const Program& training() const { return *training_; }
  // Of an evaluation with so many windows at once, of that length. Throws where none was recorded.
  Program& evaluation(std::int64_t rows, std::int64_t context) const;

  std::size_t bytes() const;  // of allocate(), on the device
  // Of the operators that a training step runs, forward, recomputed and backward.
  double executed_flops_per_token() const;

 private:
  std::size_t planned_bytes() const;
  std::unique_ptr<Program> training_;
  std::vector<std::unique_ptr<Program>> evaluations_;
  Buffer planned_;
};

// What CUDA takes for itself of a GPU that a process opens. Assumed, not measured: threads' stacks
// (1 KiB for each that can be resident: 264 MiB of an H200), code and tables [docs/cuda.md].
constexpr std::size_t assumed_cuda_bytes = std::size_t(512) << 20;

// What a process takes of a device when it opens it: CUDA's own and our workspaces; 0 on a CPU.
std::size_t opening_bytes(Device device);
// What is then left of so much; 0 where opening it takes more.
std::size_t bytes_when_open(Device device, std::size_t whole_bytes);

// What a run's steps will take, from one recording of its programs. The bytes are of the device,
// before the first step, on each rank: parameters with their gradients, moments and bf16 copies,
// and programs. What NCCL takes is not known.
struct PlannedStep {
  std::size_t parameter_bytes = 0, program_bytes = 0;
  std::size_t opening_bytes = 0;        // see opening_bytes()
  double executed_flops_per_token = 0;  // see RunPrograms
  // What the run asks for when its device is open.
  std::size_t bytes() const { return parameter_bytes + program_bytes; }
  // What the device then says is in use, if nobody else uses it.
  std::size_t device_bytes() const { return bytes() + opening_bytes; }
};
PlannedStep planned_step(const RunConfig& config, std::int64_t micro_batch, int ranks = 1);

// Of the micro-batches of a step, how many a rank's GPU is sent before the host waits: all of its
// share, or as many as make waiting not worth a measurement.
std::int64_t executions_ahead(std::int64_t micro_batches, int ranks = 1);

// Windows of one forward where a sweep leaves them to us: the largest divisor of a batch's
// `windows` that makes few enough tokens. By tokens alone: a run's bits must not depend on who runs
// it. On a GPU a sweep asks for no more than its memory holds, too [sweeps/gpu_memory.hpp].
std::int64_t automatic_micro_batch(Device device, std::int64_t windows, std::int64_t context);

// The largest micro-batch up to `most` that divides a batch of `rows` windows evenly among the
// ranks and fits; 0: none.
std::int64_t largest_micro_batch(std::int64_t rows, int ranks, std::int64_t most,
                                 const std::function<bool(std::int64_t micro_batch)>& fits);

// Nine tenths of a device's free memory are for what is known here.
std::size_t usable(std::size_t free_bytes);

// How a run is placed on its devices.
struct Placement {
  std::int64_t micro_batch = 1;
  int ranks = 1;
  bool is_begun = false;  // then its micro-batch stays
};
// What a device has for a run.
struct Room {
  std::string device;
  std::size_t bytes = 0;
  bool is_open = false;  // then what opening it takes is not among the bytes
};
// Throws Error{usage}, naming the micro-batch that fits, where the run takes more than there is.
void expect_to_fit(const RunConfig& config, const Placement& place, const Room& room);

}  // namespace metascale
