// Runs on an emulated GPU that fails: what is said, and what is left to go on from.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/gpu_run.hpp"

namespace metascale {
namespace {

using namespace testing;

// The machine as it was before, when this goes.
struct Machine {
  cuda_emulator::Machine before = cuda_emulator::machine();
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { cuda_emulator::machine() = before; }
};

TrainHooks lost_behind_step_2() {
  TrainHooks hooks;
  hooks.on_step = [](const StepRow& row) {
    if (row.step == 2) cuda_emulator::machine().failure = cudaErrorLaunchFailure;
  };
  return hooks;
}

}  // namespace

TEST_CASE(
    "a GPU lost midway ends the run with what to do, and the last checkpoint goes on with the same "
    "bits") {
  const RunsFolder runs;
  const auto written = [&](const std::string& id) {
    RunConfig config = gpu_run(runs, id);
    config.log.checkpoint_every = 1;
    return runs.write(config);
  };
  const auto whole = written("whole"), lost = written("lost");
  REQUIRE(train(whole, {}) == ExitCode::good);
  {
    const Machine machine;
    CHECK_THROWS_WITH(
        train(lost, lost_behind_step_2()),
        Catch::StartsWith("rank 0 on emulated GPU 0000:00:00.0 behind step 2: the GPU failed "
                          "at work that was sent to it before") &&
            Catch::Contains("start the run again") &&
            Catch::EndsWith("unspecified launch failure"));
  }
  CHECK_THAT(read_file(lost / "FAILED"), Catch::Contains("unspecified launch failure"));
  CHECK(checkpoint_steps(lost) == std::vector<std::int64_t>{1});
  REQUIRE(train(lost, {}) == ExitCode::good);
  expect_equal_bits(outcome_of(whole), outcome_of(lost));
}

TEST_CASE("a GPU lost within a step ends the run with its place, whichever call finds out") {
  const RunsFolder runs;
  const auto folder = runs.write(gpu_run(runs, "lost"));
  const Machine machine;
  CHECK_THROWS_WITH(
      train(folder, lost_behind_step_2()),
      Catch::StartsWith("rank 0 on emulated GPU 0000:00:00.0 behind step 2: kernel ") &&
          Catch::EndsWith("unspecified launch failure"));
  CHECK(has_event(read_run_file(folder / "run.h5"), "gpu_failed"));
}

TEST_CASE("numbers that are not finite on the GPU end the run with the step and with what to do") {
  const RunsFolder runs;
  RunConfig config = gpu_run(runs, "diverges");
  config.training.steps = 20;  // each makes the weights a thousand times larger
  config.training.batch_tokens = config.training.context;
  config.training.optimizer.learning_rate = config.training.optimizer.final_learning_rate = 10;
  config.training.optimizer.weight_decay = 100;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    Catch::StartsWith("step ") && Catch::Contains("are not both finite: the ") &&
                        Catch::Contains("not finite is in ") &&
                        Catch::Contains("lower training.learning_rate"));
}

TEST_CASE(
    "memory that runs out while a run begins names what to lower and leaves no GPU memory behind") {
  const RunsFolder runs;
  const Machine machine;
  std::size_t free_before = 0, free_after = 0, total = 0;
  cudaMemGetInfo(&free_before, &total);
  cuda_emulator::machine().memory_bytes = total - free_before + (std::size_t(64) << 20);
  CHECK_THROWS_WITH(train(runs.write(gpu_run(runs, "large")), {}), Catch::Contains("lower "));
  cuda_emulator::machine() = machine.before;
  cudaMemGetInfo(&free_after, &total);
  CHECK(free_after == free_before);
}

}  // namespace metascale
