// Whole models on a GPU, or on its emulator: recorded, trained and evaluated by the lines that the CPU runs.
#include <catch2/catch.hpp>
#include <filesystem>

#include "core/random.hpp"
#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/trainer.hpp"
#include "kernels/gpu.hpp"
#include "tests/kernels/cuda_device.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale {
namespace {

using namespace testing;

constexpr std::int64_t rows = 2, context = 21;  // no multiple of the scan's chunks

Architecture any_architecture() {
  return GENERATE(Architecture::transformer, Architecture::transformer_pp, Architecture::rwkv7,
                  Architecture::meta_state);
}

ModelConfig model_of(Architecture architecture) {
  return {.architecture = architecture,
          .layers = 2,
          .width = 32,
          .vocabulary = 67,
          .head_size = 16,
          .feed_forward = 48,
          .rank_decay = 8,
          .rank_rate = 8,
          .rank_value = 8,
          .rank_gate = 8};
}

// One step's losses and gradients.
struct Step {
  Values losses, gradients;
};

Step step_on(Device device, Architecture architecture, Precision precision) {
  ParameterList list;
  const TapeOptions tape = tape_options({.precision = precision}, device, true);
  Program program(model_of(architecture), {.rows = rows, .context = context, .tape = tape}, list);
  ParameterMemory host(list, Device::cpu, tape.dtype), memory(list, device, tape.dtype, tape.bf16_storage);
  Queue queue{.device = device};
  if (device == Device::cuda) queue.cuda = gpu_of_tests().queue();
  initialise(list, host, 7);
  const RandomStream random(3, 0);  // weights that start at zero would hide what lies behind them
  const Tensor values = host.whole(host.values);
  with_float_type(tape.dtype, [&]<typename T>() {
    for (const auto& entry : list.entries())
      for (std::int64_t i = entry.offset; i < entry.offset + entry.spec.shape.size(); ++i)
        values.pointer<T>()[i] += T(0.05 * random.normal(std::uint64_t(i)));
  });
  copy_to_device(queue, memory.values.data(), host.values.data(), host.values.bytes());
  memory.round_copies(queue);
  program.allocate(device, memory);
  for (std::int64_t i = 0; i < rows * context; ++i) {
    program.tokens()[i] = std::int32_t(i * 7 % 67);
    program.targets()[i] = std::int32_t((i + 1) * 7 % 67);
    program.set_scale(i, 1.0 / double(rows * context));
  }
  program.execute(queue);
  Step step;
  for (std::int64_t i = 0; i < rows * context; ++i) step.losses.push_back(program.loss(i));
  copy_to_host(queue, host.gradients.data(), memory.gradients.data(), host.gradients.bytes());
  step.gradients = values_of(host.whole(host.gradients));
  return step;
}

double distance(const Values& a, const Values& b) {  // max |a - b| / max |b|; NaN where one is not finite
  double most = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isfinite(a[i])) return a[i] - a[i];
    most = std::max(most, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return most / largest;
}

TEST_CASE("a model's losses and gradients on the GPU are those of the CPU") {
  const Architecture architecture = any_architecture();
  const auto [precision, tolerance] =
      GENERATE(std::pair{Precision::f32, 1e-4}, std::pair{Precision::f64, 1e-9});
  CAPTURE(name_of(architecture), name_of(precision));
  const Step on_cpu = step_on(Device::cpu, architecture, precision);
  const Step on_gpu = step_on(Device::cuda, architecture, precision);
  CHECK(distance(on_gpu.losses, on_cpu.losses) <= tolerance);
  CHECK(distance(on_gpu.gradients, on_cpu.gradients) <= tolerance);
}

TEST_CASE("activations in bf16 on the GPU are as near to f32 as they are on the CPU") {
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  const Step exact = step_on(Device::cpu, architecture, Precision::f32);
  const Step on_cpu = step_on(Device::cpu, architecture, Precision::bf16_stored);
  const Step on_gpu = step_on(Device::cuda, architecture, Precision::bf16_stored);
  CHECK(distance(on_gpu.losses, exact.losses) <= 2 * distance(on_cpu.losses, exact.losses) + 1e-3);
  CHECK(distance(on_gpu.gradients, exact.gradients) <= 2 * distance(on_cpu.gradients, exact.gradients) + 1e-3);
}

TEST_CASE("a run on the GPU trains as on the CPU, twice with the same bits, and resumes") {
  const RunsFolder runs;
  const auto trained = [&](const std::string& id, Device device, bool stopped) {
    RunConfig config = runs.config(id, Architecture::meta_state);
    config.device = device;
    config.training.steps = 4;
    config.training.batch_tokens = 64;
    config.training.micro_batch = 1;
    config.evaluation.windows = config.evaluation.final_windows = 1;
    const auto folder = runs.write(config);
    TrainHooks hooks;
    hooks.stop = [left = 2]() mutable { return --left == 0 ? StopRequest::save : StopRequest::none; };
    if (stopped) REQUIRE(train(folder, hooks) == ExitCode::saved);
    REQUIRE(train(folder, {}) == ExitCode::good);
    return outcome_of(folder);
  };
  const Outcome on_cpu = trained("cpu", Device::cpu, false), on_gpu = trained("gpu", Device::cuda, false);
  REQUIRE(on_gpu.log.steps.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(on_gpu.log.steps[i].loss == Approx(on_cpu.log.steps[i].loss).epsilon(1e-4));
    CHECK(on_gpu.log.steps[i].digest == on_cpu.log.steps[i].digest);
  }
  expect_equal_bits(on_gpu, trained("again", Device::cuda, true));
  CHECK(on_gpu.log.facts.contains("energy_joules") == Gpu().joules().has_value());
  CHECK(on_gpu.log.facts.at("processor") == Gpu().info().name);
}

}  // namespace
}  // namespace metascale
