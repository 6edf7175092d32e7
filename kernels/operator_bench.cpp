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
constexpr Sizes of_150m{.B = 16, .T = 2048, .H = 12, .N = 64, .V = 50304};
constexpr Sizes of_10m{.B = 8, .T = 256, .H = 6, .N = 64, .V = 4096};

// Of the outputs' largest element: sums in another order; in bf16 two neighbours, and weights of
// attention that are rounded before they are multiplied.
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

// Where operators are timed.
struct Place {
  Queue queue;
  std::function<void()> wait;  // for all that the queue was given
};
Place place_of(const Gpu& gpu) {
  return {{.device = Device::cuda, .cuda = gpu.queue()}, [&] { gpu.wait(); }};
}
Place place_of(const CpuQueue& cpu) {
  return {{.cpu = cpu}, [] {}};
}

// Seconds of one execution: the median over batches of about 20 ms, a GPU never idle within one.
double seconds_of(const Place& place, const std::function<void()>& execute) {
  using Clock = std::chrono::steady_clock;
  const auto batch = [&](int times) {
    const auto start = Clock::now();
    for (int i = 0; i < times; ++i) execute();
    place.wait();
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

// Of a copy of `count` numbers and a product of side^3.
DeviceRates rates_of(Place& place, Case& room, std::int64_t count, std::int64_t side) {
  const Cast copy{.y = room.statistic({count}), .x = room.statistic({count})};
  Matmul product{.c = room.output({side, side}),
                 .a = room.random({side, side}),
                 .b = room.random({side, side}),
                 .transpose_b = true,
                 .bf16 = room.bf16()};
  if (const std::int64_t elements = product.scratch_elements(); elements > 0)
    product.scratch = room.output({elements}, Dtype::bf16);
  const double copied = 2.0 * double(copy.x.bytes());
  const double multiplied = 2.0 * double(side * side * side);
  const auto seconds = [&](const auto& op) {
    return seconds_of(place, [&] { run(place.queue, op); });
  };
  return {.copy_bytes_per_second = copied / seconds(copy),
          .product_flops_per_second = multiplied / seconds(product)};
}

bool is_wanted(const Family& family, const OperatorBenchmark& benchmark) {
  return std::string_view(family.name).find(benchmark.part) != std::string_view::npos;
}

}  // namespace

DeviceRates measure_rates(const Gpu& gpu, Dtype storage) {
  Place place = place_of(gpu);
  Case room(place.queue, storage);
  return rates_of(place, room, std::int64_t(1) << 28, 8192);
}
DeviceRates measure_rates(const CpuQueue& cpu, bool bf16_products) {
  Place place = place_of(cpu);
  Case room(place.queue, Dtype::f32, bf16_products);
  return rates_of(place, room, std::int64_t(1) << 22, 1024);
}

void measure_operators(const Gpu& gpu, const OperatorBenchmark& benchmark, const DeviceRates& rates,
                       const std::function<void(const OperatorResult&)>& on_row) {
  Place place = place_of(gpu);
  for (const Family& family : families()) {
    if (!is_wanted(family, benchmark)) continue;
    const std::vector<double> errors = distances(family, benchmark.storage, place.queue);
    Case at_size(place.queue, benchmark.storage);
    family.fill(at_size, benchmark.only_distances ? small : of_150m);
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const Step& step = at_size.steps()[i];
      OperatorResult row;
      if (!benchmark.only_distances)
        row = timed(step, seconds_of(place, [&] { step.execute(place.queue); }), rates);
      row.name = step.name;
      row.error = errors[i];
      row.close = errors[i] <= tolerance_of(benchmark.storage);
      on_row(row);
    }
  }
}

void measure_operators(const CpuQueue& cpu, const OperatorBenchmark& benchmark,
                       const DeviceRates& rates,
                       const std::function<void(const OperatorResult&)>& on_row) {
  Place place = place_of(cpu);
  for (const Family& family : families()) {
    if (!is_wanted(family, benchmark)) continue;
    Case at_size(place.queue, benchmark.storage, benchmark.bf16_products);
    family.fill(at_size, of_10m);
    for (const Step& step : at_size.steps()) {
      OperatorResult row =
          timed(step, seconds_of(place, [&] { step.execute(place.queue); }), rates);
      row.name = step.name;
      on_row(row);
    }
  }
}

}  // namespace metascale
