#include "kernels/elementwise.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

double flops_of(ActivationKind kind) {  // per element; a transcendental function counts 8
  switch (kind) {
    case ActivationKind::relu_squared: return 2;
    case ActivationKind::gelu_tanh: return 15;
    case ActivationKind::gelu_erf: return 12;
    case ActivationKind::tanh: return 8;
    case ActivationKind::sigmoid: return 10;
  }
  return 0;
}

}  // namespace

void ActivationForward::check() const {
  expect_shape("ActivationForward.x", x, y.shape, "the shape of y");
  expect_float_dtypes("ActivationForward", *this);
}

Cost ActivationForward::cost() const {
  return {.flops = flops_of(kind) * double(y.size()), .bytes = operand_bytes(*this)};
}

void ActivationBackward::check() const {
  expect_shape("ActivationBackward.dy", dy, dx.shape, "the shape of dx");
  expect_shape("ActivationBackward.x", x, dx.shape, "the shape of dx");
  expect_float_dtypes("ActivationBackward", *this);
}

Cost ActivationBackward::cost() const {
  return {.flops = (flops_of(kind) + 6) * double(dx.size()), .bytes = operand_bytes(*this)};
}

void SwigluForward::check() const {
  expect_shape("SwigluForward.gate", gate, y.shape, "the shape of y");
  expect_shape("SwigluForward.up", up, y.shape, "the shape of y");
  expect_float_dtypes("SwigluForward", *this);
}

Cost SwigluForward::cost() const {
  return {.flops = 12.0 * double(y.size()), .bytes = operand_bytes(*this)};
}

void SwigluBackward::check() const {
  expect_shape("SwigluBackward.dgate", dgate, dy.shape, "the shape of dy");
  expect_shape("SwigluBackward.dup", dup, dy.shape, "the shape of dy");
  expect_shape("SwigluBackward.gate", gate, dy.shape, "the shape of dy");
  expect_shape("SwigluBackward.up", up, dy.shape, "the shape of dy");
  expect_float_dtypes("SwigluBackward", *this);
}

Cost SwigluBackward::cost() const {
  return {.flops = 20.0 * double(dy.size()), .bytes = operand_bytes(*this)};
}

void AddForward::check() const {
  expect_shape("AddForward.a", a, y.shape, "the shape of y");
  expect_shape("AddForward.b", b, y.shape, "the shape of y");
  if (c.exists()) expect_shape("AddForward.c", c, y.shape, "the shape of y");
  expect_float_dtypes("AddForward", *this);
}

Cost AddForward::cost() const {
  return {.flops = (c.exists() ? 2.0 : 1.0) * double(y.size()), .bytes = operand_bytes(*this)};
}

void Accumulate::check() const {
  expect_shape("Accumulate.dy", dy, dx.shape, "the shape of dx");
  expect_float_dtypes("Accumulate", *this);
}

Cost Accumulate::cost() const {
  return {.flops = dx.fresh ? 0.0 : double(dx.size()), .bytes = operand_bytes(*this)};
}

void Fill::check() const { expect_float_dtypes("Fill", *this); }

Cost Fill::cost() const { return {.flops = 0, .bytes = operand_bytes(*this)}; }

void Cast::check() const {
  expect_shape("Cast.x", x, y.shape, "the shape of y");
  for (const Tensor* operand : {&y, &x})
    if (operand->dtype == Dtype::i32)
      throw Error(concat("Cast.", operand == &y ? "y" : "x",
                         " is i32 but must be f32, f64 or bf16: tokens are not converted"));
  if (rounding.stochastic && (y.dtype != Dtype::bf16 || x.dtype != Dtype::f32))
    throw Error(concat("Cast.rounding is stochastic, from ", name_of(x.dtype), " to ",
                       name_of(y.dtype), ", but it is built from f32 to bf16 only"));
}

Cost Cast::cost() const { return {.flops = 0, .bytes = operand_bytes(*this)}; }

}  // namespace metascale
