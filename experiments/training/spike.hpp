// When a step's loss is a spike.
#pragma once

#include <string>
#include <vector>

#include "core/run_file.hpp"
#include "experiments/config.hpp"

namespace metascale {

// Remembers the losses that were no spikes. A function of the losses alone, so that a resumed run
// decides as one that was not stopped.
class SpikeDetector {
 public:
  explicit SpikeDetector(const SpikeConfig& config) : config_(config) {}

  bool is_spike(double loss);      // never where the action is to ignore them
  void add(double loss);           // of the next step; left out if it is a spike or not finite
  void add_accepted(double loss);  // of one that is known to be neither
  // As if only these steps had been. Rows rise by step.
  void restart(const std::vector<StepRow>& rows);

  // The losses remembered, as bytes: for ranks that have no log.
  std::string memory() const;
  void remember(const std::string& memory);

 private:
  SpikeConfig config_;
  std::vector<double> losses_;  // the last `window`, oldest first
  std::vector<double> sorted_;  // scratch
};

}  // namespace metascale
