// Executions that an emulated GPU is sent before the host waits for the first.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/gpu_run.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/kernels/cuda_device.hpp"

namespace metascale {
namespace {

using namespace testing;

// Losses of five executions, and then the sum of their gradients.
Values five_executions(std::int64_t sent_together, bool cuda_graph = false) {
  ParameterList list;
  const TapeOptions tape = tape_options({.precision = Precision::f32}, Device::cuda, true);
  Program program(small_model(Architecture::meta_state),
                  {.rows = 1,
                   .context = 9,
                   .tape = tape,
                   .executions = sent_together,
                   .cuda_graph = cuda_graph},
                  list);
  ParameterMemory host(list, Device::cpu, tape.dtype), memory(list, Device::cuda, tape.dtype);
  initialise(list, host, 7);
  Queue queue{.device = Device::cuda, .cuda = gpu_of_tests().queue()};
  copy_to_device(queue, memory.values.data(), host.values.data(), host.values.bytes());
  program.allocate(Device::cuda, memory);
  Values numbers;
  for (int execution = 0; execution < 5; ++execution) {
    fill_inputs(program);
    program.tokens()[3] = execution;
    program.send(queue, [&] {
      const Values losses = losses_of(program);
      numbers.insert(numbers.end(), losses.begin(), losses.end());
    });
    CHECK(std::int64_t(numbers.size()) == 9 * ((execution + 1) / sent_together * sent_together));
  }
  program.finish(queue);
  CHECK(numbers.size() == 5 * 9);
  copy_to_host(queue, host.gradients.data(), memory.gradients.data(), host.gradients.bytes());
  const Values gradients = values_of(host.whole(host.gradients));
  numbers.insert(numbers.end(), gradients.begin(), gradients.end());
  return numbers;
}

TEST_CASE("executions that are sent together give the bits of those that are waited for") {
  const Values waited_for = five_executions(1);
  CHECK(five_executions(2) == waited_for);
  CHECK(five_executions(5) == waited_for);
  CHECK(five_executions(3, true) == waited_for);
}

// Of the host for the GPU, in the last of three steps of four windows.
int waits_of_a_step(std::int64_t micro_batch) {
  const RunsFolder runs;
  RunConfig config = gpu_run(runs, "counted");
  config.training.batch_tokens = 4 * config.training.context;
  config.training.micro_batch = micro_batch;
  int before = 0, waits = 0;
  TrainHooks hooks;
  hooks.on_step = [&](const StepRow&) {
    const int now = cuda_emulator::machine().waits;
    waits = now - before;
    before = now;
  };
  REQUIRE(train(runs.write(config), hooks) == ExitCode::good);
  return waits;
}

TEST_CASE("the host waits for the GPU as often in a step of four micro-batches as in one of one") {
  const int waits = waits_of_a_step(4);
  CHECK(waits > 0);
  CHECK(waits_of_a_step(1) == waits);
}

}  // namespace
}  // namespace metascale
