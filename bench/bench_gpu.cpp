// Every operator on the GPU: its distance from the CPU at small sizes, its time at those of a 150M
// model, and its share of the bound that the rates of a copy and of a large product set, measured
// in the same run.
//   bench_gpu [--json] [--check] [--f32] [part of a family's name]
// --check: distances alone. Ends with 3 where an operator is further from the CPU than rounding
// explains.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/gpu_cases.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/gpu.hpp"
#include "kernels/matmul.hpp"

namespace {

using namespace metascale;
using namespace metascale::bench;
using nlohmann::json;

constexpr Sizes small{.B = 2, .T = 37, .H = 3, .N = 64, .V = 301};
constexpr Sizes large{.B = 16, .T = 2048, .H = 12, .N = 64, .V = 50304};

struct Options {
  bool json = false, check = false;
  Dtype storage = Dtype::bf16;
  std::string part;
};

struct Limits {
  double bytes_per_second = 0, flops_per_second = 0;
};

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
std::vector<double> distances(const Family& family, const Options& options, Queue& gpu) {
  Queue cpu;
  Case truth(cpu, options.storage), tested(gpu, options.storage);
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

Limits measure_limits(const Gpu& gpu, Queue& queue, Dtype storage) {
  Case room(queue, storage);
  const Shape numbers{std::int64_t(1) << 28};
  const Cast copy{.y = room.statistic(numbers), .x = room.statistic(numbers)};
  constexpr std::int64_t n = 8192;
  const Matmul product{.c = room.output({n, n}),
                       .a = room.random({n, n}),
                       .b = room.random({n, n}),
                       .transpose_b = true,
                       .bf16 = room.bf16()};
  return {
      .bytes_per_second = 2.0 * double(copy.x.bytes()) / seconds_of(gpu, [&] { run(queue, copy); }),
      .flops_per_second = 2.0 * double(n * n * n) / seconds_of(gpu, [&] { run(queue, product); })};
}

void print_row(const json& row) {
  std::printf("%-28s %10.1e %-4s", row["operator"].get<std::string>().c_str(),
              row["error"].get<double>(), row["close"].get<bool>() ? "" : "FAR");
  if (row.contains("seconds"))
    std::printf(" %10.1f %9.0f %9.1f %8.0f%%", 1e6 * row["seconds"].get<double>(),
                1e-9 * row["bytes_per_second"].get<double>(),
                1e-12 * row["flops_per_second"].get<double>(),
                100 * row["share_of_bound"].get<double>());
  std::printf("\n");
  std::fflush(stdout);
}

void add_timing(json& row, const Step& step, double seconds, const Limits& limits) {
  const double bound = std::max(step.cost.bytes / limits.bytes_per_second,
                                step.cost.flops / limits.flops_per_second);
  row["seconds"] = seconds;
  row["bytes_per_second"] = step.cost.bytes / seconds;
  row["flops_per_second"] = step.cost.flops / seconds;
  row["share_of_bound"] = bound / seconds;
}

json measure_family(const Family& family, const Options& options, const Limits& limits,
                    const Gpu& gpu, Queue& queue) {
  json rows = json::array();
  const std::vector<double> errors = distances(family, options, queue);
  Case timed(queue, options.storage);
  family.fill(timed, options.check ? small : large);
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const Step& step = timed.steps()[i];
    json row{{"operator", step.name},
             {"error", errors[i]},
             {"close", errors[i] <= tolerance_of(options.storage)}};
    if (!options.check)
      add_timing(row, step, seconds_of(gpu, [&] { step.execute(queue); }), limits);
    if (!options.json) print_row(row);
    rows.push_back(row);
  }
  return rows;
}

Options options_of(int count, char** words) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--json")
      options.json = true;
    else if (word == "--check")
      options.check = true;
    else if (word == "--f32")
      options.storage = Dtype::f32;
    else if (word.substr(0, 2) == "--")
      throw Error(concat(word, " is not an option: --json --check --f32"), ExitCode::usage);
    else
      options.part = word;
  }
  return options;
}

void print_head(const Options& options, const json& result) {
  std::printf("%s, sm_%d%d, activations in %s, attention: %s\n",
              result["gpu"].get<std::string>().c_str(), result["major"].get<int>(),
              result["minor"].get<int>(), name_of(options.storage),
              result["attention"].get<std::string>().c_str());
  if (options.check) {
    std::printf("%-28s %10s\n", "operator", "error");
    return;
  }
  std::printf("copy %.0f GB/s, product %.1f TFLOP/s\n%-28s %10s %-4s %10s %9s %9s %9s\n",
              1e-9 * result["copy_bytes_per_second"].get<double>(),
              1e-12 * result["product_flops_per_second"].get<double>(), "operator", "error", "",
              "us", "GB/s", "TFLOP/s", "of bound");
}

int run_all(const Options& options) {
  const Gpu gpu;
  Queue queue;
  queue.device = Device::cuda;
  queue.cuda = gpu.queue();
  const GpuInfo info = gpu.info();
  const Limits limits = options.check ? Limits{} : measure_limits(gpu, queue, options.storage);
  json result{{"gpu", info.name},
              {"major", info.major},
              {"minor", info.minor},
              {"storage", name_of(options.storage)},
              {"attention", gpu.attention()},
              {"copy_bytes_per_second", limits.bytes_per_second},
              {"product_flops_per_second", limits.flops_per_second},
              {"operators", json::array()}};
  if (!options.json) print_head(options, result);
  int far = 0;
  for (const Family& family : families()) {
    if (std::string_view(family.name).find(options.part) == std::string_view::npos) continue;
    for (const json& row : measure_family(family, options, limits, gpu, queue)) {
      far += row["close"].get<bool>() ? 0 : 1;
      result["operators"].push_back(row);
    }
  }
  result["attention"] = gpu.attention();  // cuDNN may have refused meanwhile
  if (options.json) std::printf("%s\n", result.dump(2).c_str());
  if (far)
    std::fprintf(stderr, "%d operators are further from the CPU than rounding explains\n", far);
  return far ? int(ExitCode::run_failed) : 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run_all(options_of(count, words));
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_gpu: %s\n", error.what());
    return int(error.code);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_gpu: %s\n", error.what());
    return int(ExitCode::internal);
  }
}
