// Times every operator of kernels/ on the CPU at the sizes of a 10M-parameter model and prints
// medians:
//   bench_operators [threads = 1] [part of a name] [f32 | bf16]
// GFLOP/s and GB/s divide what Op::cost() counts by the time, so a figure above the machine's copy
// rate means that operands stayed in cache.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/cases/case.hpp"

namespace {

using namespace metascale;

constexpr cases::Sizes sizes{.B = 8, .T = 256, .H = 6, .N = 64, .V = 4096};

struct Times {
  double median, best;  // seconds
};

Times times_of(const cases::Step& step, Queue& queue) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> times;
  double total = 0;
  step.execute(queue);  // warm: pages, packed kernels
  while (times.size() < 5 || (total < 0.2 && times.size() < 200)) {
    const auto start = Clock::now();
    step.execute(queue);
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

void report(const cases::Family& family, Queue& queue, Dtype storage, const std::string& part) {
  cases::Case operators(queue, storage);
  family.fill(operators, sizes);
  for (const cases::Step& step : operators.steps()) {
    if (step.name.find(part) == std::string::npos) continue;
    const auto [median, best] = times_of(step, queue);
    std::printf("%-38s %12.1f %12.1f %9.1f %9.1f\n", step.name.c_str(), median * 1e6, best * 1e6,
                step.cost.flops / median / 1e9, step.cost.bytes / median / 1e9);
  }
}

}  // namespace

int main(int count, char** words) {
  Queue queue;
  if (count > 1) queue.cpu.threads = std::max(1, std::atoi(words[1]));
  const std::string part = count > 2 ? words[2] : "", storage = count > 3 ? words[3] : "f32";
  if (storage != "f32" && storage != "bf16") {
    std::fprintf(stderr, "usage: bench_operators [threads] [part of a name] [f32 | bf16]\n");
    return int(ExitCode::usage);
  }
  std::printf("%-38s %12s %12s %9s %9s   threads %d\n", "operator", "median us", "best us",
              "GFLOP/s", "GB/s", queue.cpu.threads);
  for (const cases::Family& family : cases::families())
    report(family, queue, storage == "bf16" ? Dtype::bf16 : Dtype::f32, part);
}
