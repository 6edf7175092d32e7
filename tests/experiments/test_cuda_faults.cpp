// Runs on an emulated GPU that fails: what is said, and what is left to go on from.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "experiments/trainer.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using namespace testing;

RunConfig run_on_gpu(const RunsFolder& runs, const std::string& id) {
  RunConfig config = runs.config(id, Architecture::rwkv7);
  config.device = Device::cuda;
  config.training.steps = 4;
  config.training.batch_tokens = 64;
  config.training.micro_batch = 1;
  config.evaluation.windows = config.evaluation.final_windows = 1;
  config.log.checkpoint_every = 2;
  return config;
}

// The machine as it was before, when this goes.
struct Machine {
  cuda_emulator::Machine before = cuda_emulator::machine();
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { cuda_emulator::machine() = before; }
};

}  // namespace

TEST_CASE(
    "a GPU lost midway ends the run with what to do, and the last checkpoint goes on with the same "
    "bits") {
  const RunsFolder runs;
  const auto whole = runs.write(run_on_gpu(runs, "whole")),
             lost = runs.write(run_on_gpu(runs, "lost"));
  REQUIRE(train(whole, {}) == ExitCode::good);
  {
    const Machine machine;
    TrainHooks hooks;
    hooks.on_step = [](const StepRow& row) {
      if (row.step == 3) cuda_emulator::machine().failure = cudaErrorLaunchFailure;
    };
    CHECK_THROWS_WITH(train(lost, hooks),
                      Catch::StartsWith("the GPU failed at work that was sent to it before") &&
                          Catch::Contains("start the run again") &&
                          Catch::EndsWith("unspecified launch failure"));
  }
  CHECK_THAT(read_file(lost / "FAILED"), Catch::Contains("unspecified launch failure"));
  REQUIRE(train(lost, {}) == ExitCode::good);
  expect_equal_bits(outcome_of(whole), outcome_of(lost));
}

TEST_CASE("numbers that are not finite on the GPU end the run with the step and with what to do") {
  const RunsFolder runs;
  RunConfig config = run_on_gpu(runs, "diverges");
  config.training.steps = 20;  // each makes the weights a thousand times larger
  config.training.optimizer.learning_rate = config.training.optimizer.final_learning_rate = 10;
  config.training.optimizer.weight_decay = 100;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    Catch::StartsWith("step ") && Catch::Contains("are not both finite") &&
                        Catch::Contains("lower training.learning_rate"));
}

TEST_CASE(
    "memory that runs out while a run begins names what to lower and leaves no GPU memory behind") {
  const RunsFolder runs;
  const Machine machine;
  std::size_t free_before = 0, free_after = 0, total = 0;
  cudaMemGetInfo(&free_before, &total);
  cuda_emulator::machine().memory_bytes = total - free_before + (std::size_t(64) << 20);
  CHECK_THROWS_AS(train(runs.write(run_on_gpu(runs, "large")), {}), Error);
  cuda_emulator::machine() = machine.before;
  cudaMemGetInfo(&free_after, &total);
  CHECK(free_after == free_before);
}

}  // namespace metascale
