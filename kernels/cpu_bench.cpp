#include "kernels/cpu_bench.hpp"

#include <algorithm>
#include <chrono>

#include "kernels/cases/case.hpp"
#include "kernels/cases/wkv7.hpp"
#include "kernels/matmul.hpp"

namespace metascale {
namespace {

// Of one run, the median of some.
template <typename Op>
double seconds_of(Queue& queue, const Op& op) {
  using Clock = std::chrono::steady_clock;
  constexpr int dropped = 3, counted = 15;
  std::vector<double> seconds;
  for (int i = -dropped; i < counted; ++i) {
    const auto start = Clock::now();
    run(queue, op);
    if (i >= 0) seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + counted / 2, seconds.end());
  return seconds[counted / 2];
}

}  // namespace

double measure_gemm(Dtype operands, int threads) {
  constexpr std::int64_t n = 1024;
  Queue queue;
  queue.cpu.threads = threads;
  cases::Case memory(queue, Dtype::f32);
  Matmul op{.c = memory.output({n, n}), .a = memory.random({n, n}), .b = memory.random({n, n})};
  op.bf16 = operands == Dtype::bf16;
  if (op.bf16) op.scratch = memory.output({op.scratch_elements()}, Dtype::bf16);
  return 2.0 * double(n * n * n) / seconds_of(queue, op);
}

WkvTiming measure_wkv7(std::int64_t head_size) {
  constexpr std::int64_t T = 256, H = 4;
  Queue queue;
  cases::Case memory(queue, Dtype::f32);
  cases::Wkv7 op(memory, {.B = 1, .T = T, .H = H, .heads_read = H, .N = head_size});
  op.leave_out_states();
  op.backward.q = op.backward.de = {};
  const auto microseconds = [&](const auto& one) {
    return 1e6 * seconds_of(queue, one) / double(T * H);
  };
  return {.forward = microseconds(op.forward),
          .read_out = microseconds(op.read_out),
          .backward = microseconds(op.backward)};
}

}  // namespace metascale
