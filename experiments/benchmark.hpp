// How fast this machine trains a model: whole steps on random tokens.
#pragma once

#include <vector>

#include "experiments/config.hpp"
#include "kernels/gpu.hpp"

namespace metascale {

struct StepBenchmark {
  ModelConfig model;
  // batch_tokens, micro_batch (0: whole batch), context, precision, recompute.
  TrainingConfig training;
  const Gpu* gpu = nullptr;  // where it runs; null: on the CPU
  int threads = 1;           // of the CPU
  int dropped = 3;           // first steps, not counted
  int counted = 10;
  double least_seconds = 0;  // goes on counting until this long
};

struct StepTiming {
  double median_seconds = 0, fastest_seconds = 0, slowest_seconds = 0;  // of one optimizer step
  int steps = 0;
  double tokens_per_second = 0;  // by the median
  double model_flops_per_second = 0;
  // That it takes: of the GPU, as the GPU counts; on a CPU that by which the process grew.
  std::size_t memory_bytes = 0;
};

// Forward, backward, clip and AdamW, as the trainer runs them.
StepTiming measure_step(const StepBenchmark& benchmark);

double median(std::vector<double> values);

}  // namespace metascale
