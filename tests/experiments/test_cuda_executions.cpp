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
    CHECK(std::int64_t(numbers.size()) == 9 * (execution / sent_together * sent_together));
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

// What the last of three steps costs besides the work itself.
struct Costs {
  int waits, allocations;  // of the host for the GPU; of the GPU's memory
};

Costs costs_of_a_step(std::int64_t micro_batch, Precision precision, std::int64_t windows = 4) {
  const RunsFolder runs;
  RunConfig config = gpu_run(runs, "counted");
  config.training.precision = precision;
  config.training.batch_tokens = windows * config.training.context;
  config.training.micro_batch = micro_batch;
  const auto& machine = cuda_emulator::machine();
  Costs before{}, costs{};
  TrainHooks hooks;
  hooks.on_step = [&](const StepRow&) {
    costs = {machine.waits - before.waits, machine.allocations - before.allocations};
    before = {machine.waits, machine.allocations};
  };
  REQUIRE(train(runs.write(config), hooks) == ExitCode::good);
  return costs;
}

TEST_CASE("the host waits for the GPU once a step, and asks it for no memory") {
  const auto [micro_batch, precision] = GENERATE(table<std::int64_t, Precision>(
      {{4, Precision::f32}, {1, Precision::f32}, {1, Precision::bf16}}));
  CAPTURE(micro_batch, name_of(precision));
  const Costs costs = costs_of_a_step(micro_batch, precision);
  CHECK(costs.waits == 1);
  CHECK(costs.allocations == 0);
}

TEST_CASE("of more micro-batches than it sends ahead the host waits once for each so many") {
  CHECK(costs_of_a_step(1, Precision::f32, 40).waits == 2);
}

}  // namespace
}  // namespace metascale
