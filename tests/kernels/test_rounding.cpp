// Stochastic rounding to bf16: unbiased, a function of (step, element), the same however the work
// is shared.
#include <algorithm>
#include <limits>

#include "kernels/elementwise.hpp"
#include "kernels/optimizer.hpp"
#include "tests/kernels/optimizer_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

constexpr float ulp = 1.0f / 128;  // of bf16 between 1 and 2

Rounding at_step(std::int64_t step, std::int64_t first = 0) {
  return {.stochastic = true, .step = step, .first = first};
}

}  // namespace

TEST_CASE("stochastic rounding gives one of the two neighbours, whose mean is the number") {
  const float part = GENERATE(0.0f, 0.1f, 0.5f, 0.9f);
  const float sign = GENERATE(1.0f, -1.0f), x = sign * (1.5f + part * ulp);
  constexpr int draws = 40000;
  double sum = 0;
  for (int i = 0; i < draws; ++i) {
    const double rounded = double(float(at_step(i / 200)(x, i % 200)));
    REQUIRE((rounded == double(sign * 1.5f) || rounded == double(sign * (1.5f + ulp))));
    sum += rounded;
  }
  const double deviation = double(ulp) * 0.5 / std::sqrt(double(draws));
  CHECK(std::abs(sum / draws - double(x)) <= 4 * deviation);
  if (part == 0) CHECK(sum == draws * double(x));
}

TEST_CASE("elements and steps round independently of each other") {
  const float x = 1.5f + 0.5f * ulp;
  const auto ups = [&](auto&& rounded) {
    std::vector<bool> up;
    for (std::int64_t i = 0; i < 4096; ++i) up.push_back(float(rounded(i)) > x);
    return up;
  };
  const std::vector<bool> first = ups([&](std::int64_t i) { return at_step(1)(x, i); });
  const std::vector<bool> second = ups([&](std::int64_t i) { return at_step(2)(x, i); });
  const std::vector<bool> shifted = ups([&](std::int64_t i) { return at_step(1)(x, i + 1); });
  for (const auto& other : {second, shifted}) {
    int same = 0;
    for (std::size_t i = 0; i < first.size(); ++i) same += first[i] == other[i];
    CHECK(std::abs(same - 2048) <= 4 * 32);  // four standard deviations of a coin
  }
}

TEST_CASE("what bf16 holds exactly, infinity and NaN are left as they are") {
  for (const float x : {0.0f, -0.0f, 1.0f, -3.0f, std::numeric_limits<float>::infinity()})
    for (std::int64_t i = 0; i < 64; ++i) CHECK(at_step(5)(x, i).bits == bfloat16(x).bits);
  CHECK(std::isnan(float(at_step(5)(std::numeric_limits<float>::quiet_NaN(), 3))));
}

TEST_CASE("AdamW's stochastic copy is the same on any number of threads and in any segments") {
  constexpr std::int64_t n = 9001, cut = 4097;
  const auto copy_of = [&](int threads, const std::vector<std::int64_t>& counts) {
    AdamWCase item(Dtype::f32, side_by_side(counts),
                   std::vector<AdamGroup>(counts.size(), {.rate = 0.01}));
    item.forward.copy = item.memory.output({n}, Dtype::bf16);
    item.forward.rounding = at_step(7);
    Queue queue;
    queue.cpu.threads = threads;
    run(queue, item.forward);
    return values_of(item.forward.copy);
  };
  const Values whole = copy_of(1, {n});
  CHECK(copy_of(3, {n}) == whole);
  CHECK(copy_of(2, {cut, n - cut}) == whole);
}

TEST_CASE("a copy made again after the step is the one that AdamW left") {
  AdamWCase item(Dtype::f32, 301, 3);
  item.forward.copy = item.memory.output({301}, Dtype::bf16);
  item.forward.rounding = at_step(11);
  Queue queue;
  run(queue, item.forward);
  const Tensor again = item.memory.output({301}, Dtype::bf16);
  run(queue, Cast{.y = again, .x = item.forward.parameters, .rounding = at_step(11)});
  CHECK(same_bits(again, item.forward.copy));
  run(queue, Cast{.y = again, .x = item.forward.parameters});
  CHECK_FALSE(same_bits(again, item.forward.copy));
}

TEST_CASE("stochastic rounding is from f32 to bf16 only") {
  Memory memory(Dtype::f64);
  Queue queue;
  CHECK(message_of_error([&] {
          run(queue, Cast{.y = memory.output({3}, Dtype::bf16),
                          .x = memory.random({3}),
                          .rounding = at_step(1)});
        }) ==
        "Cast.rounding is stochastic, from f64 to bf16, but it is built from f32 to bf16 only");
}

}  // namespace metascale
