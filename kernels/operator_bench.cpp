#include "kernels/operator_bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>

#include "kernels/cases/case.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/matmul.hpp"

namespace metascale {
namespace {

using namespace cases;

constexpr Sizes small{.B = 2, .T = 37, .H = 3, .N = 64, .V = 301};
constexpr Sizes large{.B = 16, .T = 2048, .H = 12, .N = 64, .V = 50304};

// Of the outputs' largest element: sums in another order; in bf16 two neighbours, and the softmax
// of logits that are stored in bf16.
double tolerance_of(Dtype storage) { return storage == Dtype::bf16 ? 1.0 / 32 : 1e-4; }

std::vector<double> values_of(const Queue& queue, const Tensor& tensor) {
  std::vector<std::byte> bytes(tensor.bytes());
  copy_to_host(queue, bytes.data(), static_cast<const std::byte*>(tensor.data), bytes.size());
  std::vector<double> values(std::size_t(tensor.size()));
  const auto widen = [&]<typename T>(const T* from) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = double(from[i]);
  };
  switch (tensor.dtype) {
    case Dtype::f32: widen(reinterpret_cast<const float*>(bytes.data())); break;
    case Dtype::f64: widen(reinterpret_cast<const double*>(bytes.data())); break;
    case Dtype::bf16:
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = float(reinterpret_cast<const bfloat16*>(bytes.data())[i]);
      break;
    case Dtype::i32: widen(reinterpret_cast<const std::int32_t*>(bytes.data())); break;
  }
  return values;
}

// max |a - b| / max |b|; not finite where one of them is not.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, largest = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double d = std::abs(a[i] - b[i]);
    if (!std::isfinite(d)) return d;
    difference = std::max(difference, d);
    largest = std::max(largest, std::abs(b[i]));
  }
  return largest > 0 ? difference / largest : difference;
}

// Of each operator of a family, the largest over its outputs.
std::vector<double> distances(const Family& family, Dtype storage, Queue& gpu) {
  Queue cpu;
  Case truth(cpu, storage), tested(gpu, storage);
  family.fill(truth, small);
  family.fill(tested, small);
  std::vector<double> result;
  for (std::size_t i = 0; i < truth.steps().size(); ++i) {
    const auto &right = truth.steps()[i], &mine = tested.steps()[i];
    right.execute(cpu);
    mine.execute(gpu);
    double largest = 0;
    for (std::size_t o = 0; o < right.outputs.size(); ++o) {
      const double d =
          distance(values_of(gpu, mine.outputs[o].tensor), values_of(cpu, right.outputs[o].tensor));
      if (!(d <= largest)) largest = d;
    }
    result.push_back(largest);
  }
  return result;
}

// Seconds of one execution: the median over batches of about 20 ms, the GPU never idle within one.
double seconds_of(const Gpu& gpu, const std::function<void()>& execute) {
  using Clock = std::chrono::steady_clock;
  const auto batch = [&](int times) {
    const auto start = Clock::now();
    for (int i = 0; i < times; ++i) execute();
    gpu.wait();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  batch(1);
  const int times = std::clamp(int(0.02 / std::max(batch(2) / 2, 1e-7)), 1, 2000);
  std::vector<double> seconds;
  for (int round = 0; round < 7; ++round) seconds.push_back(batch(times) / times);
  std::nth_element(seconds.begin(), seconds.begin() + 3, seconds.end());
  return seconds[3];
}

OperatorResult timed(const Step& step, double seconds, const DeviceRates& rates) {
  const double bound = std::max(step.cost.bytes / rates.copy_bytes_per_second,
                                step.cost.flops / rates.product_flops_per_second);
  return {.seconds = seconds,
          .bytes_per_second = step.cost.bytes / seconds,
          .flops_per_second = step.cost.flops / seconds,
          .share_of_bound = bound / seconds};
}

Queue queue_on(const Gpu& gpu) { return {.device = Device::cuda, .cuda = gpu.queue()}; }

}  // namespace

DeviceRates measure_rates(const Gpu& gpu, Dtype storage) {
  Queue queue = queue_on(gpu);
  Case room(queue, storage);
  const Shape numbers{std::int64_t(1) << 28};
  const Cast copy{.y = room.statistic(numbers), .x = room.statistic(numbers)};
  constexpr std::int64_t n = 8192;
  const Matmul product{.c = room.output({n, n}),
                       .a = room.random({n, n}),
                       .b = room.random({n, n}),
                       .transpose_b = true,
                       .bf16 = room.bf16()};
  const double copied = 2.0 * double(copy.x.bytes()), multiplied = 2.0 * double(n * n * n);
  return {.copy_bytes_per_second = copied / seconds_of(gpu, [&] { run(queue, copy); }),
          .product_flops_per_second = multiplied / seconds_of(gpu, [&] { run(queue, product); })};
}

void measure_operators(const Gpu& gpu, const OperatorBenchmark& benchmark, const DeviceRates& rates,
                       const std::function<void(const OperatorResult&)>& on_row) {
  Queue queue = queue_on(gpu);
  for (const Family& family : families()) {
    if (std::string_view(family.name).find(benchmark.part) == std::string_view::npos) continue;
    const std::vector<double> errors = distances(family, benchmark.storage, queue);
    Case at_size(queue, benchmark.storage);
    family.fill(at_size, benchmark.only_distances ? small : large);
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const Step& step = at_size.steps()[i];
      OperatorResult row;
      if (!benchmark.only_distances)
        row = timed(step, seconds_of(gpu, [&] { step.execute(queue); }), rates);
      row.name = step.name;
      row.error = errors[i];
      row.close = errors[i] <= tolerance_of(benchmark.storage);
      on_row(row);
    }
  }
}

}  // namespace metascale
