// What a run does about steps whose loss jumps or is no number: stop, leave the step out, roll back
// [docs/reliability.md].
#pragma once

#include <string>

#include "experiments/training/run_parts.hpp"
#include "experiments/training/spike.hpp"

namespace metascale {

class BadSteps {
 public:
  explicit BadSteps(const RunParts& run) : run_(run), spikes_(run.config.training.spike) {}

  // Remembers the losses of the log's steps. Called by all ranks, as judge is.
  void restart();

  // Asked before the update, about a step whose numbers are finite: whether it may be made.
  bool accepts(const StepRow& made);
  // Afterwards, about every step. True: the run went back to an earlier one. Throws
  // Error{run_failed} where the policy is to stop, or where the run went back to the same step too
  // often.
  bool judge(const StepRow& row);

 private:
  bool act(OnSpike action, const StepRow& row, const std::string& what, const char* key);
  void roll_back(const StepRow& bad, const std::string& why);
  [[noreturn]] void give_up(const std::string& why);

  const RunParts& run_;
  SpikeDetector spikes_;
  bool is_spike_ = false;  // what accepts found
};

}  // namespace metascale
