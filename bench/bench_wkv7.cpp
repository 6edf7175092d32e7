// Time of the WKV7 operators per head-token (one token of one head) and core, in f32:
//   bench_wkv7 [head size = 64] [tokens = 512] [heads = 4] [avx512 | avx2 | scalar]
// Medians and the best of repeated runs on one thread, in time of that thread; FLOPs as Cost counts
// them.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/memory.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {
namespace {

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

struct Operands {
  std::vector<Buffer> buffers;
  std::mt19937 generator{1};

  Tensor tensor(Shape shape) {
    buffers.emplace_back(Device::cpu, std::size_t(shape.size()) * sizeof(float));
    return {buffers.back().data(), shape, Dtype::f32};
  }
  Tensor random(Shape shape, float scale) {
    const Tensor result = tensor(shape);
    std::normal_distribution<float> normal(0, scale);
    std::generate_n(result.pointer<float>(), shape.size(), [&] { return normal(generator); });
    return result;
  }
  Tensor gradient(Shape shape) {
    Tensor result = tensor(shape);
    result.fresh = true;
    return result;
  }
};

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
  Operands memory;
  const Shape vectors{1, T, H, N}, states{1, H, N, N};
  const float unit = 1 / std::sqrt(float(N));
  Wkv7Forward forward{.y = memory.tensor(vectors),
                      .u = memory.tensor(vectors),
                      .checkpoints = memory.tensor({1, H, (T + 15) / 16, N, N}),
                      .r = memory.random(vectors, 1),
                      .d = memory.random(vectors, 1),
                      .k = memory.random(vectors, unit),
                      .v = memory.random(vectors, 1),
                      .a = memory.random(vectors, unit),
                      .b = memory.random(vectors, 0.5f * unit)};
  const Tensor q = memory.random(vectors, unit), de = memory.random(vectors, 1);
  const Wkv7ReadOut read_out{.e = memory.tensor(vectors),
                             .q = q,
                             .d = forward.d,
                             .k = forward.k,
                             .v = forward.v,
                             .b = forward.b,
                             .u = forward.u,
                             .checkpoints = forward.checkpoints};
  const Wkv7QueryBackward query_backward{.dq = memory.gradient(vectors),
                                         .de = de,
                                         .d = forward.d,
                                         .k = forward.k,
                                         .v = forward.v,
                                         .b = forward.b,
                                         .u = forward.u,
                                         .checkpoints = forward.checkpoints};
  Wkv7Backward backward{.dr = memory.gradient(vectors),
                        .dd = memory.gradient(vectors),
                        .dk = memory.gradient(vectors),
                        .dv = memory.gradient(vectors),
                        .da = memory.gradient(vectors),
                        .db = memory.gradient(vectors),
                        .dy = memory.random(vectors, 1),
                        .r = forward.r,
                        .d = forward.d,
                        .k = forward.k,
                        .v = forward.v,
                        .a = forward.a,
                        .b = forward.b,
                        .u = forward.u,
                        .checkpoints = forward.checkpoints};
  const double head_tokens = double(T) * double(H);
  const Seconds there = report(queue, "forward", forward, head_tokens);
  report(queue, "read-out", read_out, head_tokens);
  report(queue, "query backward", query_backward, head_tokens);
  const Seconds back = report(queue, "backward", backward, head_tokens);
  backward.q = q;
  backward.de = de;
  report(queue, "backward of both read-outs", backward, head_tokens);
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
