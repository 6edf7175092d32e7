// Activations stored in bf16 on the GPU: what a kernel stores is what the CPU's f32 body gives for
// the same numbers, rounded once; which may differ by one unit in the last of its 8 bits where
// sums in another order end on the other side of a middle.
#include <algorithm>
#include <array>
#include <map>

#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/elementwise_cases.hpp"
#include "tests/kernels/embedding_cases.hpp"
#include "tests/kernels/low_rank_cases.hpp"
#include "tests/kernels/norm_cases.hpp"
#include "tests/kernels/optimizer_cases.hpp"
#include "tests/kernels/reset_cases.hpp"
#include "tests/kernels/rotary_cases.hpp"
#include "tests/kernels/self_state_cases.hpp"
#include "tests/kernels/time_mix_cases.hpp"
#include "tests/kernels/token_shift_cases.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {

using namespace testing;

namespace {

// Vectors of parameters, statistics and states: f32 where activations are bf16.
constexpr std::array always_wide{
    "weight",
    "bias",
    "dweight",
    "dbias",
    "mean",
    "scale",
    "inverse_norm",
    "mix",
    "dmix",
    "k_k",
    "k_a",
    "dk_k",
    "dk_a",
    "bonus",
    "dbonus",
    "gamma",
    "dgamma",
    "checkpoints",
    "initial_state",
    "final_state",
    "previous",
    "tokens",
    "dinitial_state",
    "dfinal_state",
};

bool is_wide(const std::string& name) {
  return std::find(always_wide.begin(), always_wide.end(), name) != always_wide.end();
}

// The distance of x to the next number of 8 bits.
double last_bit(double x) { return x == 0 ? 0 : std::ldexp(1.0, std::ilogb(std::abs(x)) - 7); }

double rounded(double x) { return double(float(bfloat16(float(x)))); }

Values rounded(Values values) {
  for (double& x : values) x = rounded(x);
  return values;
}

// op has f32 operands. Rounds those that are stored in bf16 and gives the op over bf16 copies.
template <typename Op>
Op stored_in_bf16(Memory& memory, const Op& op) {
  Op narrow = op;
  std::map<void*, Tensor> copies;
  Op::operands(narrow, [&](const char* name, Tensor& tensor, Use) {
    if (!tensor.exists() || tensor.dtype != Dtype::f32 || is_wide(name)) return;
    const auto [place, is_new] = copies.try_emplace(tensor.data, tensor);
    if (is_new) {
      const Values values = rounded(values_of(tensor));
      assign(tensor, values);
      place->second = memory.output(tensor.shape, Dtype::bf16);
      place->second.fresh = tensor.fresh;
      assign(place->second, values);
    }
    tensor = place->second;
  });
  return narrow;
}

void expect_stored(const char* name, const Tensor& stored, const Tensor& truth) {
  INFO("operand " << name << " of " << name_of(stored.dtype));
  if (stored.dtype == Dtype::f32) {
    CHECK(relative_distance(stored, truth) <= tolerance::f32);
    return;
  }
  const Values a = values_of(stored), b = rounded(values_of(truth));
  double largest = 0;
  std::size_t other_bits = 0;
  for (const double x : b) largest = std::max(largest, std::abs(x));
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("element " << i << ": " << a[i] << " for " << b[i]);
    REQUIRE(std::abs(a[i] - b[i]) <=
            std::max(last_bit(a[i]), last_bit(b[i])) + tolerance::f32 * largest);
    other_bits += a[i] != b[i];
  }
  CHECK(other_bits <= 1 + a.size() / 50);  // cut off instead of rounded, half of them would differ
}

// Leaves in op's operands what the CPU gives.
template <typename Op>
void expect_rounded_results_of_the_cpu(const Op& op) {
  Memory memory(Dtype::f32);
  const Op narrow = stored_in_bf16(memory, op);
  Queue queue;
  run(queue, op);
  run_on(Device::cuda, narrow);
  std::vector<Tensor> stored;
  Op::operands(narrow, [&](const char*, const Tensor& tensor, Use) { stored.push_back(tensor); });
  std::size_t index = 0;
  Op::operands(op, [&](const char* name, const Tensor& truth, Use use) {
    const Tensor& result = stored[index++];
    const bool written = use == Use::write || use == Use::add;
    if (truth.exists() && written) expect_stored(name, result, truth);
  });
}

// Gradients that already hold something, as a second reader finds them.
template <typename Op>
void fill_gradients(Op& op) {
  unsigned seed = 77;
  Op::operands(op, [&](const char*, Tensor& tensor, Use use) {
    if (use != Use::add || !tensor.exists()) return;
    assign(tensor, random_values(tensor.size(), seed++));
    tensor.fresh = false;
  });
}

template <typename Case, typename... Sizes>
void expect_bf16_storage(Sizes... sizes) {
  Case item(Dtype::f32, sizes...);
  expect_rounded_results_of_the_cpu(item.forward);
  if constexpr (requires { item.backward; }) {
    expect_rounded_results_of_the_cpu(item.backward);
    fill_gradients(item.backward);
    expect_rounded_results_of_the_cpu(item.backward);
  }
}

}  // namespace

TEST_CASE("elementwise operators on the GPU store bf16") {
  const ActivationKind kind =
      GENERATE(ActivationKind::relu_squared, ActivationKind::gelu_tanh, ActivationKind::gelu_erf,
               ActivationKind::tanh, ActivationKind::sigmoid);
  expect_bf16_storage<ActivationCase>(Shape{7, 43}, kind);
  expect_bf16_storage<SwigluCase>(Shape{7, 43});
  expect_bf16_storage<AddCase>(Shape{7, 43}, 2);
  expect_bf16_storage<AddCase>(Shape{7, 43}, 3);
}

TEST_CASE("norms on the GPU store bf16") {
  expect_bf16_storage<LayerNormCase>(70, 33);
  expect_bf16_storage<RmsNormCase>(70, 33);
  expect_bf16_storage<LayerNormCase>(200, 40);
  expect_bf16_storage<RmsNormCase>(200, 40);
  expect_bf16_storage<HeadNormCase>(7, 3, 9);
}

TEST_CASE("rotary embeddings and split heads on the GPU store bf16") {
  expect_bf16_storage<RotaryCase>(Shape{2, 5, 3, 14}, std::int64_t(4));
  expect_bf16_storage<RotaryCase>(Shape{2, 5, 3, 32}, std::int64_t(16));
  expect_bf16_storage<SplitHeadsCase>(Shape{2, 5, 3, 14});
  expect_bf16_storage<SplitHeadsCase>(Shape{2, 5, 3, 24});
}

TEST_CASE("token shifts on the GPU store bf16") {
  const int mixes = GENERATE(1, 6);
  const bool with_previous = GENERATE(false, true);
  const Shape shape = GENERATE(Shape{3, 37, 11}, Shape{3, 67, 24});
  expect_bf16_storage<TokenShiftCase>(shape, mixes, with_previous);
}

TEST_CASE("resets, and token shifts that stop at documents, on the GPU store bf16") {
  const Starts starts{1, 20, 36};
  const Shape shape = GENERATE(Shape{3, 37, 11}, Shape{3, 37, 16});
  expect_bf16_storage<ResetCase>(shape, starts, GENERATE(0.0, 2.5));
  expect_bf16_storage<PackedTokenShiftCase>(shape, GENERATE(1, 6), starts);
}

TEST_CASE("low-rank maps with joined factors on the GPU store bf16") {
  const Ranks ranks{5, 33, 7, 1};
  expect_bf16_storage<JoinFactorsCase>(std::int64_t(37), ranks);
  expect_bf16_storage<SplitHiddenCase>(Shape{3, 37}, ranks, GENERATE(false, true));
}

TEST_CASE("hidden rows that stop at documents on the GPU store bf16") {
  const Starts starts = GENERATE(Starts{0}, Starts{1, 20, 36});
  expect_bf16_storage<PackedSplitHiddenCase>(Shape{3, 37}, Ranks{5, 33, 7}, starts);
}

TEST_CASE("embeddings on the GPU store bf16 rows of f32 weights, and of their bf16 copy") {
  expect_bf16_storage<EmbeddingCase>(101, 7, 43);
  expect_bf16_storage<EmbeddingCase>(301, 60, 264);
  const EmbeddingCase item(Dtype::f32, 11, 7, 5);
  Memory memory(Dtype::bf16);
  EmbeddingForward wide = item.forward, narrow = item.forward;
  wide.y = memory.output(wide.y.shape), narrow.y = memory.output(wide.y.shape);
  narrow.weight = memory.output(wide.weight.shape);
  assign(narrow.weight, values_of(wide.weight));
  run_on(Device::cuda, wide);
  run_on(Device::cuda, narrow);
  CHECK(same_bits(wide.y, narrow.y));
}

TEST_CASE("the time mix on the GPU stores bf16") {
  expect_bf16_storage<TimeMixOperandsCase>(37, 3, 33);
  expect_bf16_storage<TimeMixOperandsCase>(5, 2, 64, Layer::first);
  expect_bf16_storage<TimeMixOutputCase>(37, 3, 33);
  expect_bf16_storage<TimeMixOperandsCase>(200, 2, 48);
  expect_bf16_storage<TimeMixOutputCase>(200, 2, 48);
  expect_bf16_storage<TimeMixOperandsCase>(200, 5, 64);
  expect_bf16_storage<TimeMixOutputCase>(200, 5, 64);
  expect_bf16_storage<TimeMixOutputCase>(5, 2, 64);
}

TEST_CASE("the Self-State Encoder on the GPU stores bf16") {
  expect_bf16_storage<SelfStateQueryCase>(7, 3, 4, 33);
  expect_bf16_storage<SelfStateMixCase>(70, 3, 5, 4, 9);
  expect_bf16_storage<SelfStateMixCase>(200, 3, 5, 4, 16);
}

TEST_CASE("WKV7 on the GPU stores bf16 vectors and f32 states") {
  const std::int64_t N = GENERATE(8, 16, 32, 64);
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  Wkv7Case item(Dtype::f32, {.B = 1, .T = 19, .H = 2, .heads_read = 1, .N = N}, read);
  expect_rounded_results_of_the_cpu(item.forward);
  expect_rounded_results_of_the_cpu(item.read_out);
  expect_rounded_results_of_the_cpu(item.query_backward);
  expect_rounded_results_of_the_cpu(item.backward);
  fill_gradients(item.backward);
  expect_rounded_results_of_the_cpu(item.backward);
}

TEST_CASE("AdamW on the GPU writes a bf16 copy of the new parameters") {
  Memory memory(Dtype::f32);
  AdamWCase item(Dtype::f32, 301, 3);
  item.forward.copy = memory.output({301}, Dtype::bf16);
  run_on(Device::cuda, item.forward);
  CHECK(values_of(item.forward.copy) == rounded(values_of(item.forward.parameters)));
}

TEST_CASE("stochastic copies on the GPU have the bits of the CPU") {
  AdamWCase item(Dtype::f32, 301, 3);
  AdamW& op = item.forward;
  op.copy = item.memory.output({301}, Dtype::bf16);
  op.rounding = {.stochastic = true, .step = 9, .first = 17};
  run_on(Device::cuda, op);
  const Device device = GENERATE(Device::cpu, Device::cuda);
  const Tensor again = item.memory.output({301}, Dtype::bf16);
  run_on(device, Cast{.y = again, .x = op.parameters, .rounding = op.rounding});
  CHECK(same_bits(again, op.copy));
  CHECK(values_of(again) != rounded(values_of(op.parameters)));
}

TEST_CASE("the last token of bf16 activations on the GPU may be kept in f32") {
  Memory memory(Dtype::bf16);
  const Tensor x = memory.random({2, 3, 5}), y = memory.output({2, 5}, Dtype::f32);
  run_on(Device::cuda, LastToken{.y = y, .x = x});
  const Values all = values_of(x), last = values_of(y);
  for (std::size_t i = 0; i < 10; ++i) CHECK(last[i] == all[(i / 5 * 3 + 2) * 5 + i % 5]);
}

TEST_CASE("an operator on the GPU refuses integers for activations") {
  Memory memory(Dtype::f32);
  const Tensor tokens = memory.indices({4}, 7);
  CudaQueue queue;
  CHECK_THROWS_WITH((Accumulate{.dx = tokens, .dy = tokens}.on(queue)),
                    "a CUDA operator was given activations of i32, but they are stored in f32, "
                    "bf16 or f64");
}

}  // namespace metascale
