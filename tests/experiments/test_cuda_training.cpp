// Whole models on a GPU, or on its emulator: recorded, trained and evaluated by the lines that the
// CPU runs.
#include <catch2/catch.hpp>
#include <filesystem>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/random.hpp"
#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/trainer.hpp"
#include "kernels/gpu.hpp"
#include "tests/experiments/gpu_run.hpp"
#include "tests/experiments/small_model.hpp"
#include "tests/kernels/cuda_device.hpp"

namespace metascale {
namespace {

using namespace testing;

constexpr std::int64_t rows = 2, context = 21;  // no multiple of the scan's chunks

// The first position of a token's document: of three in every row, one across two chunks.
std::int32_t first_position(std::int64_t position) {
  return position < 5 ? 0 : position < 18 ? 5 : 18;
}

// One step's losses and gradients.
struct Step {
  Values losses, gradients;
};

Step step_of(const ModelConfig& model, Device device, const TrainingConfig& training,
             bool resets = false) {
  ParameterList list;
  const TapeOptions tape = tape_options(training, device, true);
  Program program(
      model, {.rows = rows, .context = context, .tape = tape, .reset_at_documents = resets}, list);
  ParameterMemory host(list, Device::cpu, tape.dtype),
      memory(list, device, tape.dtype, tape.bf16_storage);
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
  fill_inputs(program);
  for (std::int64_t i = 0; resets && i < rows * context; ++i)
    program.first_positions()[i] = first_position(i % context);
  program.execute(queue);
  Step step{.losses = losses_of(program), .gradients = {}};
  copy_to_host(queue, host.gradients.data(), memory.gradients.data(), host.gradients.bytes());
  step.gradients = values_of(host.whole(host.gradients));
  return step;
}

Step step_on(Device device, Architecture architecture, Precision precision, bool resets = false) {
  return step_of(small_model(architecture), device, {.precision = precision}, resets);
}

double distance(const Values& a,
                const Values& b) {  // max |a - b| / max |b|; NaN where one is not finite
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
  const auto [precision, tolerance, resets] = GENERATE(table<Precision, double, bool>(
      {{Precision::f32, 1e-4, false}, {Precision::f32, 1e-4, true}, {Precision::f64, 1e-9, true}}));
  CAPTURE(name_of(architecture), name_of(precision), resets);
  const Step on_cpu = step_on(Device::cpu, architecture, precision, resets);
  const Step on_gpu = step_on(Device::cuda, architecture, precision, resets);
  CHECK(distance(on_gpu.losses, on_cpu.losses) <= tolerance);
  CHECK(distance(on_gpu.gradients, on_cpu.gradients) <= tolerance);
  if (!resets) return;
  const Step packed = step_on(Device::cpu, architecture, precision, false);
  CHECK(distance(packed.losses, on_cpu.losses) > 100 * tolerance);
}

TEST_CASE("activations in bf16 on the GPU are as near to f32 as they are on the CPU") {
  const Architecture architecture = any_architecture();
  CAPTURE(name_of(architecture));
  const Step exact = step_on(Device::cpu, architecture, Precision::f32);
  const Step on_cpu = step_on(Device::cpu, architecture, Precision::bf16_stored);
  const Step on_gpu = step_on(Device::cuda, architecture, Precision::bf16_stored);
  CHECK(distance(on_gpu.losses, exact.losses) <= 2 * distance(on_cpu.losses, exact.losses) + 1e-3);
  CHECK(distance(on_gpu.gradients, exact.gradients) <=
        2 * distance(on_cpu.gradients, exact.gradients) + 1e-3);
}

TEST_CASE(
    "a model with heads of 64 channels takes the chunked form of WKV7 on the GPU, as near as the "
    "scan") {
  const auto [architecture, resets] =
      GENERATE(std::pair{Architecture::rwkv7, false}, std::pair{Architecture::meta_state, true});
  CAPTURE(name_of(architecture));
  ModelConfig model = small_model(architecture);
  model.width = model.head_size = 64;
  const auto step = [&](Device device, Precision precision, WkvForm form) {
    return step_of(model, device, {.precision = precision, .wkv = form}, resets);
  };
  const Step exact = step(Device::cpu, Precision::f32, WkvForm::automatic);
  const Step scan = step(Device::cuda, Precision::bf16, WkvForm::scan);
  const Step taken = step(Device::cuda, Precision::bf16, WkvForm::automatic);
  CHECK(distance(taken.losses, exact.losses) <= 2 * distance(scan.losses, exact.losses) + 1e-3);
  CHECK(distance(taken.gradients, exact.gradients) <=
        2 * distance(scan.gradients, exact.gradients) + 1e-3);
  CHECK(taken.gradients != scan.gradients);
}

TEST_CASE("a model with joined first factors on the GPU is that of the CPU") {
  const Architecture architecture = GENERATE(Architecture::rwkv7, Architecture::meta_state);
  const auto [precision, tolerance, resets] = GENERATE(table<Precision, double, bool>(
      {{Precision::f32, 1e-4, false}, {Precision::f64, 1e-9, true}}));
  CAPTURE(name_of(architecture), name_of(precision), resets);
  const TrainingConfig training{.precision = precision, .low_rank = LowRankForm::joined};
  const Step on_cpu = step_of(small_model(architecture), Device::cpu, training, resets);
  const Step on_gpu = step_of(small_model(architecture), Device::cuda, training, resets);
  CHECK(distance(on_gpu.losses, on_cpu.losses) <= tolerance);
  CHECK(distance(on_gpu.gradients, on_cpu.gradients) <= tolerance);
}

TEST_CASE("joined first factors in bf16 on the GPU are as near to f32 as separate ones") {
  const ModelConfig model = small_model(Architecture::meta_state);
  const auto step = [&](Device device, Precision precision, LowRankForm form) {
    return step_of(model, device, {.precision = precision, .low_rank = form});
  };
  const Step exact = step(Device::cpu, Precision::f32, LowRankForm::separate);
  const Step separate = step(Device::cuda, Precision::bf16, LowRankForm::separate);
  const Step joined = step(Device::cuda, Precision::bf16, LowRankForm::joined);
  CHECK(distance(joined.losses, exact.losses) <=
        2 * distance(separate.losses, exact.losses) + 1e-3);
  CHECK(distance(joined.gradients, exact.gradients) <=
        2 * distance(separate.gradients, exact.gradients) + 1e-3);
}

TEST_CASE("the chunked form of WKV7 is refused for a model that it is not for") {
  ModelConfig model = small_model(Architecture::rwkv7);
  const TrainingConfig training{.precision = Precision::bf16, .wkv = WkvForm::chunked};
  CHECK_THROWS_WITH(
      step_of(model, Device::cuda, training),
      "training.wkv: chunked is for activations in bf16 and heads of 64 channels; set "
      "training.precision: bf16 and head_size: 64, or use auto");
}

// stopped: after a step, and then run on.
Outcome trained(const RunsFolder& runs, const RunConfig& config, bool stopped) {
  const auto folder = runs.write(config);
  TrainHooks hooks;
  hooks.stop = [left = 2]() mutable { return --left == 0 ? StopRequest::save : StopRequest::none; };
  if (stopped) REQUIRE(train(folder, hooks) == ExitCode::saved);
  REQUIRE(train(folder, {}) == ExitCode::good);
  return outcome_of(folder);
}

TEST_CASE("a run on the GPU trains as on the CPU, twice with the same bits, and resumes") {
  const RunsFolder runs;
  const auto run = [&](const std::string& id, Device device, bool cuda_graph, bool stopped) {
    RunConfig config = gpu_run(runs, id, Architecture::meta_state);
    config.device = device;
    config.training.cuda_graph = cuda_graph;
    return trained(runs, config, stopped);
  };
  const Outcome on_cpu = run("cpu", Device::cpu, false, false),
                on_gpu = run("gpu", Device::cuda, false, false);
  REQUIRE(on_gpu.log.steps.size() == on_cpu.log.steps.size());
  for (std::size_t i = 0; i < on_cpu.log.steps.size(); ++i) {
    CHECK(on_gpu.log.steps[i].loss == Approx(on_cpu.log.steps[i].loss).epsilon(1e-4));
    CHECK(on_gpu.log.steps[i].digest == on_cpu.log.steps[i].digest);
  }
  expect_equal_bits(on_gpu, run("again", Device::cuda, false, true));
  expect_equal_bits(on_gpu, run("graph", Device::cuda, true, true));
  CHECK(on_gpu.log.facts.contains("energy_joules") == Gpu().joules().has_value());
  CHECK(on_gpu.log.facts.contains("memory_before_bytes"));
  const auto word = read_heartbeat(runs.run("gpu"));
  CHECK(word.value().joules.has_value() == Gpu().joules().has_value());
  CHECK(on_gpu.log.facts.at("processor") == Gpu().info().name);
}

TEST_CASE("a run that times its products keeps its choices, and goes on with them") {
  const RunsFolder runs;
  const auto of_id = [&](const std::string& id) {
    RunConfig config = gpu_run(runs, id);
    config.training.timed_products = true;
    return config;
  };
  const Outcome whole = trained(runs, of_id("whole"), false);
  const auto choices = runs.run("whole") / "products.rank0.txt";
  const std::string kept = read_file(choices);
  CHECK_THAT(kept, Catch::StartsWith("metascale cuBLASLt algorithms 1\n"));
  runs.write(of_id("resumed"));
  std::filesystem::copy_file(choices, runs.run("resumed") / choices.filename());
  expect_equal_bits(whole, trained(runs, of_id("resumed"), true));
  CHECK(read_file(runs.run("resumed") / choices.filename()) == kept);
}

TEST_CASE(
    "a run whose weights are rounded stochastically resumes with the same bits, and not with those "
    "of another") {
  const RunsFolder runs;
  const auto run = [&](const std::string& id, bool stochastic, bool stopped) {
    RunConfig config = gpu_run(runs, id);
    config.training.precision = Precision::bf16;
    config.training.stochastic_rounding = stochastic;
    return trained(runs, config, stopped);
  };
  const Outcome whole = run("whole", true, false);
  expect_equal_bits(whole, run("resumed", true, true));
  CHECK(run("nearest", false, false).log.steps.back().loss != whole.log.steps.back().loss);
}

TEST_CASE("switches that the device or the precision gives no meaning are refused") {
  const RunsFolder runs;
  RunConfig config = runs.config("refused", Architecture::rwkv7);
  config.training.cuda_graph = true;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    "training.cuda_graph: true needs device: cuda; use false");
  config.training.cuda_graph = false;
  config.training.timed_products = true;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    "training.timed_products: true needs device: cuda; use false");
  config.training.timed_products = false;
  config.training.stochastic_rounding = true;
  CHECK_THROWS_WITH(train(runs.write(config), {}),
                    Catch::StartsWith("training.stochastic_rounding: true rounds the bf16 copies"));
}

}  // namespace
}  // namespace metascale
