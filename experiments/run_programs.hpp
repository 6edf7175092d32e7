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
  // Records them; declares the model's parameters in list. Nothing is allocated.
  RunPrograms(const RunConfig& config, std::int64_t micro_batch, ParameterList& list);

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

// Bytes of the device that a run takes before its first step, on each of its ranks: parameters,
// their gradients and moments, bf16 copies, programs. What libraries take for themselves is not
// known.
struct DeviceBytes {
  std::size_t parameters = 0, programs = 0;
  double executed_flops_per_token = 0;  // of the same recording: see RunPrograms
  std::size_t sum() const { return parameters + programs; }
};
DeviceBytes device_bytes(const RunConfig& config, std::int64_t micro_batch, int ranks = 1);

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
// Throws Error{usage}, naming the micro-batch that fits, where the run takes more than room_bytes
// of the device.
void expect_to_fit(const RunConfig& config, const Placement& place, std::size_t room_bytes,
                   const std::string& device);

}  // namespace metascale
