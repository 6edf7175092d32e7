#include "kernels/rotary.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

void check_heads(const char* what, const Tensor& x) {
  if (x.shape.rank != 4)
    throw Error(concat(what, " has shape ", x.shape, " but must have 4 axes: (B, T, H, N)"));
}

void check_turn(const char* op, const Tensor& x, std::int64_t rotated, double base) {
  if (rotated < 0 || rotated % 2 != 0 || rotated > x.shape[3])
    throw Error(concat(op, ".rotated is ", rotated, " but must be even and at most ", x.shape[3],
                       ": channels of a head are turned in pairs"));
  if (!(base > 0)) throw Error(concat(op, ".base is ", base, " but must be above 0"));
}

}  // namespace

void RotaryForward::check() const {
  check_heads("RotaryForward.x", x);
  expect_shape("RotaryForward.y", y, x.shape, "the shape of x");
  check_turn("RotaryForward", x, rotated, base);
  expect_float_dtypes("RotaryForward", *this);
}

Cost RotaryForward::cost() const {
  return {.flops = 3.0 * double(x.size()) * double(rotated) / double(x.shape[3]),
          .bytes = operand_bytes(*this)};
}

void RotaryBackward::check() const {
  check_heads("RotaryBackward.dy", dy);
  expect_shape("RotaryBackward.dx", dx, dy.shape, "the shape of dy");
  check_turn("RotaryBackward", dy, rotated, base);
  expect_float_dtypes("RotaryBackward", *this);
}

Cost RotaryBackward::cost() const {
  return {.flops = 3.0 * double(dy.size()) * double(rotated) / double(dy.shape[3]),
          .bytes = operand_bytes(*this)};
}

void SplitHeadsForward::check() const {
  check_heads("SplitHeadsForward.q", q);
  expect_shape("SplitHeadsForward.k", k, q.shape, "the shape of q");
  expect_shape("SplitHeadsForward.v", v, q.shape, "the shape of q");
  expect_shape("SplitHeadsForward.qkv", qkv, {q.shape[0], q.shape[1], 3 * q.shape[2] * q.shape[3]},
               "q, k and v of every head side by side");
  expect_float_dtypes("SplitHeadsForward", *this);
}

Cost SplitHeadsForward::cost() const { return {.flops = 0, .bytes = operand_bytes(*this)}; }

void SplitHeadsBackward::check() const {
  check_heads("SplitHeadsBackward.dq", dq);
  expect_shape("SplitHeadsBackward.dk", dk, dq.shape, "the shape of dq");
  expect_shape("SplitHeadsBackward.dv", dv, dq.shape, "the shape of dq");
  expect_shape("SplitHeadsBackward.dqkv", dqkv,
               {dq.shape[0], dq.shape[1], 3 * dq.shape[2] * dq.shape[3]},
               "dq, dk and dv of every head side by side");
  expect_float_dtypes("SplitHeadsBackward", *this);
}

Cost SplitHeadsBackward::cost() const {
  return {.flops = dqkv.fresh ? 0.0 : double(dqkv.size()), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
