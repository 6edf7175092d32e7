#include "kernels/cross_entropy.hpp"

#include <algorithm>
#include <cstdio>

#include "kernels/checks.hpp"

namespace metascale {
namespace {

struct Sizes {
  std::int64_t R, D, V, C;
};

Sizes sizes_of(const Tensor& x, const Tensor& weight, const Tensor& logits) {
  const Shape rows = merged(x.shape, 2);
  return {rows[0], rows[1], weight.shape[0], logits.shape[0]};
}

// "Op.field", not on the heap: operators are checked at every execution, which allocates nothing.
struct FieldName {
  FieldName(const char* op, const char* field) {
    std::snprintf(text, sizeof text, "%s.%s", op, field);
  }
  const char* c_str() const { return text; }
  char text[64];
};

// Both operators' common operands.
template <typename Op>
void check_common(const Op& op, const char* name) {
  const auto field = [&](const char* of) { return FieldName(name, of); };
  expect_rank(field("x").c_str(), op.x, 2, "(R, D)");
  expect_rank(field("weight").c_str(), op.weight, 2, "(V, D)");
  const auto [R, D, V, C] = sizes_of(op.x, op.weight, op.logits);
  expect_shape(field("weight").c_str(), op.weight, {V, D}, "one row per token, as wide as x");
  expect_merged_shape(field("losses").c_str(), op.losses, {R}, "one loss per row of x");
  expect_merged_shape(field("targets").c_str(), op.targets, {R}, "one target per row of x");
  expect_dtype(field("targets").c_str(), op.targets, Dtype::i32, "targets are indices");
  expect_shape(field("logits").c_str(), op.logits, {std::clamp<std::int64_t>(C, R > 0, R), V},
               "one chunk of rows (kernels/cross_entropy.hpp: classifier_chunk)");
  if (!op.bf16) return expect_float_dtypes(name, op);
  Op::operands(op, [&](const char* operand, const Tensor& tensor, Use) {
    if (!tensor.exists() || tensor.dtype == Dtype::i32 || tensor.dtype == Dtype::bf16) return;
    expect_dtype(field(operand).c_str(), tensor, Dtype::f32, "products of bf16 are summed in f32");
  });
  const std::int64_t wanted = op.scratch_elements();
  if (wanted == 0) return;
  expect_dtype(field("scratch").c_str(), op.scratch, Dtype::bf16, "it holds rounded operands");
  if (op.scratch.size() < wanted)
    throw Error(concat(field("scratch").c_str(), " has ", op.scratch.size(),
                       " elements but must have ", wanted, ": the rounded operands (", name,
                       "::scratch_elements)"));
}

}  // namespace

std::int64_t ClassifierLoss::scratch_elements() const {
  if (!bf16) return 0;
  const auto [R, D, V, C] = sizes_of(x, weight, logits);
  return rounded_elements(weight, weight.size()) + rounded_elements(x, C * D);
}

void ClassifierLoss::check() const { check_common(*this, "ClassifierLoss"); }

Cost ClassifierLoss::cost() const {
  const auto [R, D, V, C] = sizes_of(x, weight, logits);
  return {.flops = double(R) * double(V) * (2.0 * double(D) + 10), .bytes = operand_bytes(*this)};
}

std::int64_t ClassifierLossAndGradients::scratch_elements() const {
  if (!bf16) return 0;
  const auto [R, D, V, C] = sizes_of(x, weight, logits);
  return rounded_elements(weight, weight.size()) + rounded_elements(x, C * D) +
         rounded_elements(logits, C * V);
}

void ClassifierLossAndGradients::check() const {
  check_common(*this, "ClassifierLossAndGradients");
  expect_shape("ClassifierLossAndGradients.dx", dx, x.shape, "the shape of x");
  expect_shape("ClassifierLossAndGradients.dweight", dweight, weight.shape, "the shape of weight");
  expect_merged_shape("ClassifierLossAndGradients.scales", scales, {merged(x.shape, 2)[0]},
                      "one factor per row of x");
}

Cost ClassifierLossAndGradients::cost() const {
  const auto [R, D, V, C] = sizes_of(x, weight, logits);
  return {.flops = double(R) * double(V) * (6.0 * double(D) + 12), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
