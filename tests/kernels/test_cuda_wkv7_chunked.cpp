// The chunked form of WKV7 on the GPU against the CPU's scan in f32 over the same numbers.
#include <map>

#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {

using namespace testing;

namespace {

// Operands of products and results have 8 bits: each element of a sum is wrong by at most 2 x 2^-9,
// results by 2^-9 more, relative to the largest; errors of some hundred elements partly cancel.
constexpr double of_bf16 = 1e-2;

constexpr Wkv7Sizes sizes_of(std::int64_t T, std::int64_t H = 2) {
  return {.B = 1, .T = T, .H = H, .heads_read = 1, .N = 64};
}

// What the CPU's scan computes, and the operators of the chunked form over copies of its operands:
// vectors in bf16 (what they hold is rounded in both), states in f32.
struct ChunkedCase {
  Wkv7Case truth;
  Memory memory{Dtype::f32};
  Wkv7Forward forward;
  Wkv7ReadOut read_out;
  Wkv7QueryBackward query_backward;
  Wkv7Backward backward;

  template <typename Change>
  ChunkedCase(const Wkv7Sizes& sizes, WkvRead read, Change&& change)
      : truth(Dtype::f32, sizes, read) {
    change(truth);
    forward = copy_of(truth.forward);
    read_out = copy_of(truth.read_out);
    query_backward = copy_of(truth.query_backward);
    backward = copy_of(truth.backward);
  }
  explicit ChunkedCase(const Wkv7Sizes& sizes, WkvRead read = WkvRead::previous)
      : ChunkedCase(sizes, read, [](Wkv7Case&) {}) {}

 private:
  std::map<void*, Tensor> copies_;

  Tensor stored(const std::string& name, const Tensor& tensor) {
    if (name == "checkpoints") {
      const Wkv7Sizes& sizes = truth.sizes;
      return memory.output({sizes.B, sizes.H, wkv7_saved_states(sizes.T, true), sizes.N, sizes.N},
                           Dtype::f32);
    }
    const bool state = name.ends_with("_state");
    const Tensor copy = memory.output(tensor.shape, state ? Dtype::f32 : Dtype::bf16);
    assign(copy, values_of(tensor));
    assign(tensor, values_of(copy));
    return copy;
  }
  template <typename Op>
  Op copy_of(const Op& op) {
    Op copy = op;
    copy.chunked = true;
    Op::operands(copy, [&](const char* name, Tensor& tensor, Use) {
      if (!tensor.exists()) return;
      const auto found = copies_.find(tensor.data);
      const bool fresh = tensor.fresh;
      if (found == copies_.end())
        tensor = copies_[tensor.data] = stored(name, tensor);
      else
        tensor = found->second;
      tensor.fresh = fresh;
    });
    return copy;
  }
};

template <typename Op>
void expect_near(const Op& chunked, const Op& truth, double tolerance) {
  const std::vector<Named> results = outputs_of(chunked), wanted = outputs_of(truth);
  REQUIRE(results.size() == wanted.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].name == "checkpoints") continue;
    INFO("operand " << results[i].name);
    const double distance = relative_distance(results[i].tensor, wanted[i].tensor);
    CAPTURE(distance);
    CHECK(distance <= tolerance);
  }
}

template <typename Case>
void run_all_on(Device device, const Case& item) {
  run_on(device, item.forward);
  run_on(device, item.read_out);
  run_on(device, item.query_backward);
  run_on(device, item.backward);
}

void expect_near_the_scan(const ChunkedCase& item) {
  run_all_on(Device::cpu, item.truth);
  run_all_on(Device::cuda, item);
  expect_near(item.forward, item.truth.forward, of_bf16);
  expect_near(item.read_out, item.truth.read_out, of_bf16);
  expect_near(item.query_backward, item.truth.query_backward, of_bf16);
  expect_near(item.backward, item.truth.backward, of_bf16);
}

}  // namespace

TEST_CASE("the chunked form of WKV7 is near the scan for sequences of any length") {
  const std::int64_t T = GENERATE(1, 15, 16, 17, 64, 100);
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  INFO(T << " tokens");
  const Wkv7Sizes several{.B = 2, .T = T, .H = 3, .heads_read = 2, .N = 64};
  expect_near_the_scan(ChunkedCase(T == 17 ? several : sizes_of(T, 1), read));
}

TEST_CASE("the chunked form of WKV7 is near the scan at both ends of the decay") {
  const double logit = GENERATE(12.0, -12.0, 3.0);
  INFO("decay logit " << logit);
  expect_near_the_scan(ChunkedCase(sizes_of(70), WkvRead::previous, [&](Wkv7Case& item) {
    assign(item.forward.d, Values(std::size_t(item.forward.d.size()), logit));
  }));
}

TEST_CASE("the chunked form of WKV7 is near the scan with a doubled rate") {
  expect_near_the_scan(ChunkedCase(sizes_of(70), WkvRead::previous, [](Wkv7Case& item) {
    Values a = values_of(item.forward.a), b = a;
    for (std::size_t i = 0; i < a.size(); i += 64) {  // unit keys, erased with a rate of 1.8
      double square = 0;
      for (std::size_t j = i; j < i + 64; ++j) square += a[j] * a[j];
      for (std::size_t j = i; j < i + 64; ++j) a[j] /= std::sqrt(square), b[j] = -1.8 * a[j];
    }
    assign(item.forward.a, a);
    assign(item.forward.b, b);
  }));
}

TEST_CASE("the chunked form of WKV7 forgets the state where documents start") {
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const auto with_starts = [&](std::vector<std::int64_t> starts) {
    return ChunkedCase(sizes_of(70), read, [&](Wkv7Case& item) {
      Values d = values_of(item.forward.d), a = values_of(item.forward.a);
      const std::int64_t token = item.sizes.H * item.sizes.N;
      for (const std::int64_t start : starts)
        for (std::int64_t i = start * token; i < (start + 1) * token; ++i)
          d[std::size_t(i)] = std::numeric_limits<double>::infinity(), a[std::size_t(i)] = 0;
      assign(item.forward.d, d);
      assign(item.forward.a, a);
    });
  };
  expect_near_the_scan(with_starts({0}));
  expect_near_the_scan(with_starts({16, 31}));
  expect_near_the_scan(with_starts({5, 6, 12, 20, 47, 69}));
}

TEST_CASE("the chunked form of WKV7 adds to the gradients it finds") {
  ChunkedCase alone(sizes_of(20)), added(sizes_of(20));
  run_all_on(Device::cuda, alone);
  run_on(Device::cuda, added.forward);
  const auto fill = [](const char*, Tensor& tensor, Use use) {
    if (use != Use::add) return;
    assign(tensor, Values(std::size_t(tensor.size()), 8.0));
    tensor.fresh = false;
  };
  Wkv7Backward::operands(added.backward, fill);
  Wkv7QueryBackward::operands(added.query_backward, fill);
  run_on(Device::cuda, added.query_backward);
  run_on(Device::cuda, added.backward);
  const auto expect_eight_more = [](const auto& with, const auto& without) {
    const std::vector<Named> sums = outputs_of(with), summands = outputs_of(without);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      INFO("operand " << sums[i].name);
      const Values sum = values_of(sums[i].tensor), summand = values_of(summands[i].tensor);
      for (std::size_t e = 0; e < sum.size(); ++e) {
        const double wanted = summand[e] + 8;
        REQUIRE(std::abs(sum[e] - wanted) <= std::abs(wanted) / 128 + std::abs(summand[e]) / 128);
      }
    }
  };
  expect_eight_more(added.query_backward, alone.query_backward);
  expect_eight_more(added.backward, alone.backward);
}

TEST_CASE("the chunked form of WKV7 does without its optional operands") {
  ChunkedCase item(sizes_of(37));
  item.truth.forward.initial_state = item.forward.initial_state = {};
  item.truth.forward.final_state = item.forward.final_state = {};
  for (Wkv7Backward* op : {&item.truth.backward, &item.backward})
    op->q = op->de = op->dfinal_state = op->dinitial_state = {};
  expect_near_the_scan(item);
  const Values kept = values_of(item.forward.y);
  item.forward.u = item.forward.checkpoints = {};
  run_on(Device::cuda, item.forward);
  CHECK(values_of(item.forward.y) == kept);
}

TEST_CASE("the chunked form of WKV7 has the same bits on every run") {
  const ChunkedCase first(sizes_of(70, 1));
  run_all_on(Device::cuda, first);
  for_other_orders([&] {
    const ChunkedCase again(sizes_of(70, 1));
    run_all_on(Device::cuda, again);
    const auto expect_same = [](const auto& a, const auto& b) {
      const std::vector<Named> one = outputs_of(a), other = outputs_of(b);
      for (std::size_t i = 0; i < one.size(); ++i) {
        INFO("operand " << one[i].name);
        CHECK(same_bits(one[i].tensor, other[i].tensor));
      }
    };
    expect_same(first.forward, again.forward);
    expect_same(first.read_out, again.read_out);
    expect_same(first.query_backward, again.query_backward);
    expect_same(first.backward, again.backward);
  });
}

TEST_CASE("the chunked form of WKV7 saves 256 bytes of state per token of a head") {
  const std::int64_t tokens = 4096;
  CHECK(wkv7_saved_states(tokens, true) * 64 * 64 * 4 == 256 * tokens);
  CHECK(wkv7_saved_states(65, true) == 2);
}

TEST_CASE("the chunked form of WKV7 refuses what it is not for") {
  Memory memory(Dtype::bf16);
  const auto forward = [&](std::int64_t N, Dtype dtype) {
    const Tensor x = memory.output({1, 3, 1, N}, dtype);
    return Wkv7Forward{.y = x, .r = x, .d = x, .k = x, .v = x, .a = x, .b = x, .chunked = true};
  };
  CHECK_THROWS_WITH(forward(32, Dtype::bf16).check(),
                    "Wkv7Forward.r has heads of 32 channels, but the chunked form is for heads of "
                    "64: take the scan");
  CHECK_THROWS_WITH(
      forward(64, Dtype::f32).check(),
      "Wkv7Forward.r is stored in f32, but the chunked form is for bf16: take the scan");
  CHECK_THROWS_WITH(run_on(Device::cpu, forward(64, Dtype::bf16)),
                    "the chunked form of WKV7 is one of the GPU kernels: take the scan");
}

}  // namespace metascale
