#include "kernels/matmul.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

void check_bf16_dtypes(const Matmul& op) {
  const auto f32_or_bf16 = [](const char* what, const Tensor& operand) {
    if (operand.dtype != Dtype::f32 && operand.dtype != Dtype::bf16)
      throw Error(concat(what, " is ", name_of(operand.dtype),
                         " but must be f32 or bf16: the product was asked for in bf16"));
  };
  f32_or_bf16("Matmul.a", op.a);
  f32_or_bf16("Matmul.b", op.b);
  f32_or_bf16("Matmul.c", op.c);
  if (op.bias.exists())
    expect_dtype("Matmul.bias", op.bias, Dtype::f32, "products of bf16 are summed in f32");
  const std::int64_t wanted = op.scratch_elements();
  if (wanted == 0) return;
  expect_dtype("Matmul.scratch", op.scratch, Dtype::bf16, "it holds the rounded a and b");
  if (op.scratch.size() < wanted)
    throw Error(concat("Matmul.scratch has ", op.scratch.size(), " elements but must have ", wanted,
                       ": the rounded copies of a and b (Matmul::scratch_elements)"));
}

}  // namespace

std::int64_t Matmul::scratch_elements() const {
  return bf16 ? rounded_elements(a, a.size()) + rounded_elements(b, b.size()) : 0;
}

void Matmul::check() const {
  expect_rank("Matmul.a", a, 2, "(M, K)");
  expect_rank("Matmul.b", b, 2, "(K, N)");
  const Shape left = merged(a.shape, 2), right = merged(b.shape, 2);
  const std::int64_t M = left[transpose_a ? 1 : 0], K = left[transpose_a ? 0 : 1];
  const std::int64_t N = right[transpose_b ? 0 : 1];
  if (right[transpose_b ? 1 : 0] != K)
    throw Error(concat("Matmul.b has shape ", b.shape, " but must have ", K,
                       transpose_b ? " columns: the inner extent of a, whose shape is "
                                   : " rows: the inner extent of a, whose shape is ",
                       a.shape));
  expect_merged_shape("Matmul.c", c, {M, N}, "rows of op(a) by columns of op(b)");
  if (bias.exists()) {
    expect_shape("Matmul.bias", bias, {N}, "one summand per column of c");
    if (add)
      throw Error(
          "Matmul.bias was given together with add: add the bias in the product that "
          "assigns c");
  }
  if (bf16)
    check_bf16_dtypes(*this);
  else
    expect_float_dtypes("Matmul", *this);
}

Cost Matmul::cost() const {
  const std::int64_t K = merged(a.shape, 2)[transpose_a ? 0 : 1];
  const double rounding = 2.0 * double(scratch_elements()) * double(size_of(Dtype::bf16));
  return {.flops = (2.0 * double(K) + (bias.exists() ? 1 : 0)) * double(c.size()),
          .bytes = operand_bytes(*this) + rounding};
}

void ColumnSum::check() const {
  expect_rank("ColumnSum.dy", dy, 2, "(M, N)");
  expect_shape("ColumnSum.dbias", dbias, {merged(dy.shape, 2)[1]}, "one sum per column of dy");
  expect_float_dtypes("ColumnSum", *this);
}

Cost ColumnSum::cost() const { return {.flops = double(dy.size()), .bytes = operand_bytes(*this)}; }

}  // namespace metascale
