// What a run takes of a GPU, known beforehand: on an emulated one, whose memory a test can make
// small.
#include <cuda_runtime.h>

#include <catch2/catch.hpp>

#include "experiments/run_context.hpp"
#include "experiments/trainer.hpp"
#include "tests/experiments/gpu_run.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::error_of, testing::RunsFolder;

constexpr std::int64_t micro_batch = 4;

// A step of one micro-batch.
RunConfig one_step(const RunsFolder& runs) {
  RunConfig config = testing::gpu_run(runs, "run");
  config.training.steps = 1;
  config.training.schedule.warmup_steps = 0;
  config.training.micro_batch = micro_batch;
  config.training.batch_tokens = micro_batch * config.training.context;
  return config;
}

std::size_t free_bytes() {
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  return free;
}

// The emulated GPU with so much free memory, until this goes.
class WithFreeMemory {
 public:
  explicit WithFreeMemory(std::size_t bytes) {
    cuda_emulator::machine().memory_bytes -= free_bytes() - bytes;
  }
  ~WithFreeMemory() { cuda_emulator::machine().memory_bytes = before_; }
  WithFreeMemory(const WithFreeMemory&) = delete;
  WithFreeMemory& operator=(const WithFreeMemory&) = delete;

 private:
  std::size_t before_ = cuda_emulator::machine().memory_bytes;
};

TEST_CASE("a GPU takes the workspaces that are planned when it is opened") {
  const std::size_t before = free_bytes();
  const GpuOptions small{.workspace_bytes = 4096, .scratch_bytes = 5000};
  CHECK(workspaces_of_gpu(small) < workspaces_of_gpu());
  for (const GpuOptions& options : {GpuOptions{}, small, GpuOptions{.scratch_bytes = 0}}) {
    const Gpu gpu(options);
    CHECK(before - free_bytes() == workspaces_of_gpu(options));
  }
}

// CUDA's own are not: the emulator takes none.
TEST_CASE("a run takes what was predicted of the GPU, all of it before its first step") {
  const RunsFolder runs;
  RunConfig config = one_step(runs);
  config.training.precision = GENERATE(Precision::f32, Precision::bf16);
  CAPTURE(name_of(config.training.precision));
  const std::size_t free = free_bytes();
  RunContext context(config, {});
  const std::size_t left = free_bytes(), taken = free - left - workspaces_of_gpu();
  const PlannedStep planned = planned_step(config, micro_batch);
  CHECK(taken >= planned.bytes());
  CHECK(double(taken) <= 1.03 * double(planned.bytes()));
  const Usage usage = context.usage();
  CHECK(usage.peak_bytes - usage.before_bytes == std::int64_t(taken));
  initialise(context.parameters(), context.memory(), 1);
  context.parameters_changed();
  context.train_step();
  REQUIRE(context.evaluate_split("validation", false, [] { return true; }));
  CHECK(free_bytes() == left);
}

TEST_CASE("a run that does not fit the GPU is refused before it starts, and fits as it is told") {
  const RunsFolder runs;
  RunConfig config = one_step(runs);
  fs::path folder = runs.write(config);
  const std::size_t room = planned_step(config, micro_batch).bytes() - 1;
  const WithFreeMemory small(workspaces_of_gpu() + room);
  const std::string message = error_of(ExitCode::usage, [&] { train(folder, {}); });
  REQUIRE_THAT(message, Catch::StartsWith("training.micro_batch: 4 takes ") &&
                            Catch::Contains("emulated GPU has") &&
                            Catch::Contains("micro_batch: "));
  CHECK(testing::bytes_of(folder / "FAILED") == message + "\n");
  CHECK_FALSE(fs::exists(folder / "journal.jsonl"));
  CHECK_FALSE(fs::exists(folder / "checkpoints"));
  const auto words = message.rfind("micro_batch: ");
  config.training.micro_batch = std::stoll(message.substr(words + 13));
  CHECK(config.training.micro_batch < micro_batch);
  CHECK(train(runs.write(config), {}) == ExitCode::good);
}

TEST_CASE("a run that began with a micro-batch which no longer fits is not told another") {
  const RunsFolder runs;
  const RunConfig config = one_step(runs);
  const std::size_t room = planned_step(config, micro_batch).bytes() - 1;
  const WithFreeMemory small(workspaces_of_gpu() + room);
  const TrainingState begun{.step = 1, .micro_batch = micro_batch, .data_fingerprint = [&] {
                              RunConfig cpu = config;
                              cpu.device = Device::cpu;
                              return RunContext(cpu, {}).state.data_fingerprint;
                            }()};
  CHECK_THAT(error_of(ExitCode::usage, [&] { RunContext(config, begun); }),
             Catch::EndsWith("free memory there, or use another GPU"));
}

}  // namespace
}  // namespace metascale
