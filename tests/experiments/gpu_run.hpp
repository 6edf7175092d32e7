// Runs on a GPU, as short as what they are for lets them be: on its emulator a thread of a block
// costs what a whole row costs on the CPU.
#pragma once

#include "tests/support/tiny_run.hpp"

namespace metascale::testing {

// One layer and one head, three steps of two windows of 16 tokens, a window at a time.
inline RunConfig gpu_run(const RunsFolder& runs, const std::string& id,
                         Architecture architecture = Architecture::rwkv7) {
  RunConfig config = runs.config(id, architecture);
  config.device = Device::cuda;
  config.model.layers = 1;
  config.model.width = config.model.feed_forward = 16;
  config.training.steps = 3;
  config.training.context = 16;
  config.training.batch_tokens = 32;
  config.training.micro_batch = 1;
  config.training.schedule.warmup_steps = 1;
  config.evaluation = {.windows = 1, .final_windows = 1};
  return config;
}

}  // namespace metascale::testing
