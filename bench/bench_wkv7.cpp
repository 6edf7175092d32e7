// Time of the WKV7 operators per head-token (one token of one head) and core, in f32:
//   bench_wkv7 [head size = 64] [tokens = 512] [heads = 4] [avx512 | avx2 | scalar]
// Medians and the best of repeated runs on one thread, in time of that thread; FLOPs as Cost counts
// them.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cases/case.hpp"
#include "kernels/cases/wkv7.hpp"

namespace metascale {
namespace {

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

struct Seconds {
  double median, best;
};

// Of one run each; the first runs warm the caches up.
template <typename Op>
Seconds measure(Queue& queue, const Op& op) {
  std::vector<double> times;
  for (int repeat = -2; repeat < 201; ++repeat) {
    const double start = thread_seconds();
    run(queue, op);
    if (repeat >= 0) times.push_back(thread_seconds() - start);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

template <typename Op>
Seconds report(Queue& queue, const char* name, const Op& op, double head_tokens) {
  const Seconds seconds = measure(queue, op);
  std::printf("%-28s %8.3f (best %.3f) us per head-token %8.1f GFLOP/s\n", name,
              1e6 * seconds.median / head_tokens, 1e6 * seconds.best / head_tokens,
              op.cost().flops / seconds.median * 1e-9);
  return seconds;
}

void bench(Queue& queue, std::int64_t N, std::int64_t T, std::int64_t H) {
  cases::Case memory(queue, Dtype::f32);
  cases::Wkv7 all(memory, {.B = 1, .T = T, .H = H, .heads_read = H, .N = N});
  all.leave_out_states();
  Wkv7Backward of_one = all.backward;
  of_one.q = of_one.de = {};
  const double head_tokens = double(T) * double(H);
  const Seconds there = report(queue, "forward", all.forward, head_tokens);
  report(queue, "read-out", all.read_out, head_tokens);
  report(queue, "query backward", all.query_backward, head_tokens);
  const Seconds back = report(queue, "backward", of_one, head_tokens);
  report(queue, "backward of both read-outs", all.backward, head_tokens);
  std::printf("%-28s %8.3f (best %.3f) us per head-token\n", "forward + backward",
              1e6 * (there.median + back.median) / head_tokens,
              1e6 * (there.best + back.best) / head_tokens);
}

Simd simd_named(const char* name) {
  constexpr struct {
    const char* name;
    Simd level;
  } levels[] = {{"avx512", Simd::avx512}, {"avx2", Simd::avx2}, {"scalar", Simd::scalar}};
  for (const auto& level : levels)
    if (std::strcmp(level.name, name) == 0) return level.level;
  throw Error(concat("'", name, "' is no instruction set; say avx512, avx2 or scalar"),
              ExitCode::usage);
}

}  // namespace
}  // namespace metascale

int main(int count, char** arguments) {
  try {
    const auto number = [&](int index, std::int64_t otherwise) {
      return count > index ? std::int64_t(std::atoll(arguments[index])) : otherwise;
    };
    metascale::Queue queue;
    if (count > 4) queue.cpu.simd = metascale::simd_named(arguments[4]);
    metascale::bench(queue, number(1, 64), number(2, 512), number(3, 4));
  } catch (const metascale::Error& error) {
    std::fprintf(stderr, "bench_wkv7: %s\n", error.what());
    return int(error.code);
  }
  return 0;
}
