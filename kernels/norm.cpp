#include "kernels/norm.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

struct Rows {
  std::int64_t R, D;
};

Rows rows_of(const char* what, const Tensor& x) {
  expect_rank(what, x, 2, "(R, D)");
  const Shape shape = merged(x.shape, 2);
  return {shape[0], shape[1]};
}

struct SummandNames {
  const char *branch, *second_branch, *sum;
};

// Of a norm's operands that make the sum: none, or all but the second branch.
template <typename Op>
void expect_summands(const SummandNames& names, const Op& op) {
  const Shape wanted = op.branch.exists() ? op.x.shape : Shape{};
  const char* because = op.branch.exists() ? "the shape of x" : "no branch is added to x";
  expect_shape(names.branch, op.branch, wanted, because);
  expect_shape(names.sum, op.sum, wanted, because);
  if (op.second_branch.exists())
    expect_shape(names.second_branch, op.second_branch, wanted, because);
}

template <typename Op>
double additions(const Op& op) {
  return double(op.branch.size()) + double(op.second_branch.size());
}

struct HeadRows {
  std::int64_t R, H;
};

HeadRows head_rows_of(const char* what, const Tensor& x) {
  expect_rank(what, x, 3, "(R, H, N)");
  const Shape shape = merged(x.shape, 3);
  return {shape[0], shape[1]};
}

}  // namespace

void LayerNormForward::check() const {
  const auto [R, D] = rows_of("LayerNormForward.x", x);
  expect_shape("LayerNormForward.y", y, x.shape, "the shape of x");
  expect_summands({.branch = "LayerNormForward.branch",
                   .second_branch = "LayerNormForward.second_branch",
                   .sum = "LayerNormForward.sum"},
                  *this);
  expect_merged_shape("LayerNormForward.mean", mean, {R}, "one mean per row of x");
  expect_merged_shape("LayerNormForward.scale", scale, {R}, "one scale per row of x");
  expect_shape("LayerNormForward.weight", weight, {D}, "one factor per column of x");
  expect_shape("LayerNormForward.bias", bias, {D}, "one summand per column of x");
  expect_float_dtypes("LayerNormForward", *this);
}

Cost LayerNormForward::cost() const {
  return {.flops = 8.0 * double(x.size()) + additions(*this), .bytes = operand_bytes(*this)};
}

void LayerNormBackward::check() const {
  const auto [R, D] = rows_of("LayerNormBackward.x", x);
  expect_shape("LayerNormBackward.dy", dy, x.shape, "the shape of x");
  expect_shape("LayerNormBackward.dx", dx, x.shape, "the shape of x");
  expect_shape("LayerNormBackward.weight", weight, {D}, "one factor per column of x");
  expect_shape("LayerNormBackward.dweight", dweight, {D}, "the shape of weight");
  expect_shape("LayerNormBackward.dbias", dbias, {D}, "the shape of bias");
  expect_merged_shape("LayerNormBackward.mean", mean, {R}, "one mean per row of x");
  expect_merged_shape("LayerNormBackward.scale", scale, {R}, "one scale per row of x");
  expect_float_dtypes("LayerNormBackward", *this);
}

Cost LayerNormBackward::cost() const {
  return {.flops = 14.0 * double(x.size()), .bytes = operand_bytes(*this)};
}

void RmsNormForward::check() const {
  const auto [R, D] = rows_of("RmsNormForward.x", x);
  expect_shape("RmsNormForward.y", y, x.shape, "the shape of x");
  expect_summands({.branch = "RmsNormForward.branch",
                   .second_branch = "RmsNormForward.second_branch",
                   .sum = "RmsNormForward.sum"},
                  *this);
  expect_merged_shape("RmsNormForward.scale", scale, {R}, "one scale per row of x");
  expect_shape("RmsNormForward.weight", weight, {D}, "one factor per column of x");
  expect_float_dtypes("RmsNormForward", *this);
}

Cost RmsNormForward::cost() const {
  return {.flops = 4.0 * double(x.size()) + additions(*this), .bytes = operand_bytes(*this)};
}

void RmsNormBackward::check() const {
  const auto [R, D] = rows_of("RmsNormBackward.x", x);
  expect_shape("RmsNormBackward.dy", dy, x.shape, "the shape of x");
  expect_shape("RmsNormBackward.dx", dx, x.shape, "the shape of x");
  expect_shape("RmsNormBackward.weight", weight, {D}, "one factor per column of x");
  expect_shape("RmsNormBackward.dweight", dweight, {D}, "the shape of weight");
  expect_merged_shape("RmsNormBackward.scale", scale, {R}, "one scale per row of x");
  expect_float_dtypes("RmsNormBackward", *this);
}

Cost RmsNormBackward::cost() const {
  return {.flops = 10.0 * double(x.size()), .bytes = operand_bytes(*this)};
}

void HeadNormForward::check() const {
  const auto [R, H] = head_rows_of("HeadNormForward.x", x);
  expect_shape("HeadNormForward.y", y, x.shape, "the shape of x");
  expect_merged_shape("HeadNormForward.scale", scale, {R, H}, "one scale per row and head of x");
  expect_float_dtypes("HeadNormForward", *this);
}

Cost HeadNormForward::cost() const {
  return {.flops = 6.0 * double(x.size()), .bytes = operand_bytes(*this)};
}

void HeadNormBackward::check() const {
  const auto [R, H] = head_rows_of("HeadNormBackward.dy", dy);
  expect_shape("HeadNormBackward.dx", dx, dy.shape, "the shape of dy");
  expect_shape("HeadNormBackward.y", y, dy.shape, "the shape of dy");
  expect_merged_shape("HeadNormBackward.scale", scale, {R, H}, "one scale per row and head of dy");
  expect_float_dtypes("HeadNormBackward", *this);
}

Cost HeadNormBackward::cost() const {
  return {.flops = 8.0 * double(dy.size()), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
