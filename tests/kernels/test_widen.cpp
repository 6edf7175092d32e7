// bf16 storage: an operator gives what it gives in f32 upon the widened operands, rounded once.
#include <deque>

#include "tests/kernels/attention_cases.hpp"
#include "tests/kernels/elementwise_cases.hpp"
#include "tests/kernels/embedding_cases.hpp"
#include "tests/kernels/low_rank_cases.hpp"
#include "tests/kernels/matmul_cases.hpp"
#include "tests/kernels/norm_cases.hpp"
#include "tests/kernels/optimizer_cases.hpp"
#include "tests/kernels/rotary_cases.hpp"
#include "tests/kernels/self_state_cases.hpp"
#include "tests/kernels/time_mix_cases.hpp"
#include "tests/kernels/token_shift_cases.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {
namespace {

using namespace testing;

// The operator's operands again, in f32.
template <typename Op>
Op wide_copy(const Op& op, std::deque<std::vector<float>>& memory) {
  Op wide = op;
  Op::operands(wide, [&](const char*, Tensor& operand, Use) {
    if (!operand.exists() || operand.dtype != Dtype::bf16) return;
    const Values values = values_of(operand);
    Tensor copy = tensor(memory.emplace_back(values.begin(), values.end()), operand.shape);
    copy.fresh = operand.fresh;
    operand = copy;
  });
  return wide;
}

template <typename Op>
void expect_rounded_once(const Op& op) {
  std::deque<std::vector<float>> memory;
  const Op wide = wide_copy(op, memory);
  Queue queue;
  run(queue, wide);
  run(queue, op);
  const auto stored = outputs_of(op), truth = outputs_of(wide);
  REQUIRE(stored.size() == truth.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    INFO(stored[i].name);
    const Values got = values_of(stored[i].tensor), exact = values_of(truth[i].tensor);
    const bool is_narrow = stored[i].tensor.dtype == Dtype::bf16;  // statistics of rows stay f32
    for (std::size_t j = 0; j < got.size(); ++j)
      REQUIRE(got[j] == (is_narrow ? double(float(bfloat16(float(exact[j])))) : exact[j]));
  }
}

template <typename Case>
void expect_rounded_once_both(const Case& item) {
  expect_rounded_once(item.forward);
  expect_rounded_once(item.backward);  // reads what the forward stored
}

TEST_CASE("every operator family rounds bf16 once, when it stores") {
  constexpr Dtype bf16 = Dtype::bf16;
  expect_rounded_once_both(LayerNormCase(bf16, 5, 37));
  expect_rounded_once_both(RmsNormCase(bf16, 5, 37));
  expect_rounded_once_both(HeadNormCase(bf16, 3, 2, 7));
  expect_rounded_once_both(ActivationCase(bf16, {3, 11}, ActivationKind::gelu_tanh));
  expect_rounded_once_both(SwigluCase(bf16, {3, 11}));
  expect_rounded_once_both(EmbeddingCase(bf16, 9, 5, 7));
  expect_rounded_once_both(RotaryCase(bf16, {2, 3, 2, 8}, 4));
  expect_rounded_once_both(SelfStateQueryCase(bf16, 5, 3, 2, 7));
  expect_rounded_once_both(SelfStateMixCase(bf16, 5, 3, 3, 2, 7));
  expect_rounded_once_both(TokenShiftCase(bf16, {2, 5, 7}, 3, true));
  expect_rounded_once_both(JoinFactorsCase(bf16, 9, {5, 3, 7}));
  expect_rounded_once_both(SplitHiddenCase(bf16, {2, 5}, {5, 3, 7}, true));
  expect_rounded_once_both(AttentionCase(bf16, {2, 19, 2, 7}));
}

TEST_CASE("a gradient in bf16 is added to what it holds") {
  SwigluCase item(Dtype::bf16, {3, 11});
  Queue queue;
  run(queue, item.backward);
  item.backward.dgate.fresh = item.backward.dup.fresh = false;
  expect_rounded_once(item.backward);
}

TEST_CASE("an operator in bf16 may write where it reads") {
  AddCase item(Dtype::bf16, {3, 11}, 2), apart(Dtype::bf16, {3, 11}, 2);
  item.forward.y = item.forward.a;
  Queue queue;
  run(queue, apart.forward);
  run(queue, item.forward);
  CHECK(same_bits(item.forward.y, apart.forward.y));
}

TEST_CASE("a product stores bf16 and reads it without a copy") {
  MatmulCase item(Dtype::bf16, {9, 21, 34}, true, false);
  item.forward.bf16 = true;
  CHECK(item.forward.scratch_elements() == 0);
  Queue queue;
  run(queue, item.forward);
  const Values stored = values_of(item.forward.c);
  std::vector<float> sums(stored.size());
  Matmul exact = item.forward;
  exact.c = tensor(sums, item.forward.c.shape);
  run(queue, exact);
  for (std::size_t i = 0; i < sums.size(); ++i)
    REQUIRE(stored[i] == double(float(bfloat16(sums[i]))));
}

TEST_CASE("AdamW leaves a rounded copy of the new parameters") {
  AdamWCase item(Dtype::f32, 37, 3);
  item.forward.copy = item.memory.output({37}, Dtype::bf16);
  Queue queue;
  run(queue, item.forward);
  const Values copy = values_of(item.forward.copy), exact = values_of(item.forward.parameters);
  for (std::size_t i = 0; i < copy.size(); ++i)
    REQUIRE(copy[i] == double(float(bfloat16(float(exact[i])))));
}

}  // namespace
}  // namespace metascale
