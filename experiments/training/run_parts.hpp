// What a run is made of, as the parts that look after it see it.
#pragma once

#include <filesystem>

#include "core/communicator.hpp"
#include "experiments/checkpoint.hpp"
#include "experiments/run_context.hpp"
#include "experiments/training/recorder.hpp"
#include "experiments/training/run_events.hpp"

namespace metascale {

struct RunParts {
  const std::filesystem::path& folder;
  const RunConfig& config;
  Communicator& ranks;
  Checkpoints& checkpoints;
  RunContext& context;
  Recorder& recorder;
  RunEvents& events;

  bool writes() const { return ranks.rank() == 0; }  // rank 0 alone writes in the folder
};

}  // namespace metascale
