#include "experiments/benchmark.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>

#include "core/random.hpp"
#include "experiments/optimizer.hpp"
#include "experiments/plan.hpp"
#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "experiments/run_programs.hpp"
#include "experiments/training/usage.hpp"

namespace metascale {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<double> repeat(int dropped, int counted, double least_seconds,
                           const std::function<void()>& work) {
  for (int i = 0; i < dropped; ++i) work();
  std::vector<double> seconds;
  double sum = 0;
  while (int(seconds.size()) < counted || sum < least_seconds) {
    seconds.push_back(seconds_of(work));
    sum += seconds.back();
  }
  return seconds;
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

namespace {

// Values of a born model on the CPU; on a GPU, where large ones are timed and making orthogonal
// matrices would take minutes, small random numbers.
void fill_parameters(const ParameterList& list, ParameterMemory& memory, Queue& queue) {
  if (queue.device == Device::cpu) return initialise(list, memory, 1);
  constexpr std::int64_t repeated = 1 << 20;
  const RandomStream random(1, 0);
  std::vector<float> numbers(std::size_t(repeated), 0.0f);
  for (std::int64_t i = 0; i < repeated; ++i)
    numbers[std::size_t(i)] = float(0.04 * random.uniform(std::uint64_t(i)) - 0.02);
  for (std::int64_t first = 0; first < memory.elements; first += repeated)
    copy_to_device(queue, memory.values.data() + std::size_t(first) * sizeof(float), numbers.data(),
                   std::size_t(std::min(repeated, memory.elements - first)) * sizeof(float));
}

void fill_batch(Program& program, std::int64_t tokens, std::int64_t vocabulary, double scale) {
  const RandomStream random(7, 0);
  for (std::int64_t i = 0; i < tokens; ++i) {
    program.tokens()[i] = std::int32_t(random.below(std::uint64_t(vocabulary), std::uint64_t(i)));
    program.targets()[i] =
        std::int32_t(random.below(std::uint64_t(vocabulary), std::uint64_t(i + 1)));
    program.set_scale(i, scale);
  }
}

StepTiming timing_of(const StepBenchmark& benchmark, const std::vector<double>& seconds) {
  const auto& training = benchmark.training;
  StepTiming timing{.median_seconds = median(seconds),
                    .fastest_seconds = *std::min_element(seconds.begin(), seconds.end()),
                    .slowest_seconds = *std::max_element(seconds.begin(), seconds.end()),
                    .steps = int(seconds.size())};
  timing.tokens_per_second = double(training.batch_tokens) / timing.median_seconds;
  timing.model_flops_per_second =
      timing.tokens_per_second * count_model(benchmark.model, training.context).flops_per_token;
  return timing;
}

}  // namespace

StepTiming measure_step(const StepBenchmark& benchmark) {
  const auto& training = benchmark.training;
  const Gpu* gpu = benchmark.gpu;
  if (gpu && training.precision == Precision::f64)
    throw Error("steps on a GPU are timed in f32 or bf16, not in f64", ExitCode::usage);
  const Device device = gpu ? Device::cuda : Device::cpu;
  const std::int64_t T = training.context, rows = training.batch_tokens / T;
  const std::int64_t B = training.micro_batch > 0 ? training.micro_batch : rows;
  Queue queue{.device = device};
  if (gpu) queue.cuda = gpu->queue();
  queue.cpu.threads = benchmark.threads;
  const double before = gpu ? -double(gpu->memory().free_bytes) : resident_bytes();
  ParameterList list;
  Program program(benchmark.model,
                  {.rows = B,
                   .context = T,
                   .tape = tape_options(training, device, true),
                   .executions = executions_ahead(rows / B),
                   .cuda_graph = training.cuda_graph},
                  list);
  ParameterMemory memory(list, device, program.options().tape.dtype,
                         program.options().tape.bf16_storage);
  memory.stochastic_copies = training.stochastic_rounding;
  fill_parameters(list, memory, queue);
  program.allocate(device, memory);
  const OptimizerConfig optimizer_config{.learning_rate = 1e-4};
  Optimizer optimizer(queue, optimizer_config, list, memory);
  memory.round_copies(queue);
  // Inputs stay where they are: a CPU has one place, a GPU one more than executions under way.
  const std::int64_t places = gpu ? program.options().executions + 1 : 1;
  for (std::int64_t place = 0; place < places; ++place) {
    fill_batch(program, B * T, benchmark.model.vocabulary, 1.0 / double(rows * T));
    if (gpu) program.send(queue, {});
  }
  program.finish(queue);
  std::int64_t step = 0;
  const auto seconds = repeat(benchmark.dropped, benchmark.counted, benchmark.least_seconds, [&] {
    optimizer.clear_gradients(queue);
    for (std::int64_t row = 0; row < rows; row += B) program.send(queue, {});
    optimizer.send_gradient_norm(queue);
    program.finish(queue);
    optimizer.update(queue, 1e-4, std::sqrt(optimizer.squared_gradient_norm()), ++step);
    if (gpu) gpu->wait();
  });
  StepTiming timing = timing_of(benchmark, seconds);
  const double after = gpu ? -double(gpu->memory().free_bytes) : resident_bytes();
  timing.memory_bytes = std::size_t(std::max(0.0, after - before));
  return timing;
}

}  // namespace metascale
