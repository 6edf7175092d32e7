// A run's checkpoints on their way to disk: all ranks give what they have, rank 0 writes.
#pragma once

#include "experiments/training/run_parts.hpp"

namespace metascale {

class CheckpointWriter {
 public:
  explicit CheckpointWriter(const RunParts& run) : run_(run) {}

  // Saves the state that the run is in, unless that is saved, and says so in the log. Called by all
  // ranks.
  void save();
  void is_saved_at(std::int64_t step) { saved_step_ = step; }  // a checkpoint that was found
  void forget() { saved_step_ = -1; }  // the state of the same step is another now

 private:
  void write();
  const RunParts& run_;
  std::int64_t saved_step_ = -1;  // of the newest checkpoint
};

}  // namespace metascale
