#include "kernels/token_shift.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

void check_count(const char* what, int mixes) {
  if (mixes < 1 || mixes > max_mixes)
    throw Error(concat(what, " is ", mixes, " but must be from 1 to ", max_mixes));
}

void check_rank(const char* what, const Tensor& x) {
  if (x.shape.rank != 3)
    throw Error(concat(what, " has shape ", x.shape, " but must have 3 axes: (B, T, D)"));
}

void check_each(const char* what, const Mixes& tensors, int count, Shape wanted,
                const char* because) {
  for (int m = 0; m < count; ++m) {
    const Tensor& tensor = tensors[std::size_t(m)];
    if (tensor.shape == wanted) continue;  // the name is made for an error only: no allocation
    expect_shape(concat(what, "[", m, "]").c_str(), tensor, wanted, because);
  }
}

void check_previous(const char* what, const Tensor& previous, const Tensor& x) {
  if (previous.exists())
    expect_shape(what, previous, {x.shape[0], x.shape[2]}, "one token per sequence of x");
}

}  // namespace

void TokenShiftForward::check() const {
  check_count("TokenShiftForward.mixes", mixes);
  check_rank("TokenShiftForward.x", x);
  check_each("TokenShiftForward.y", y, mixes, x.shape, "the shape of x");
  check_each("TokenShiftForward.mix", mix, mixes, {x.shape[2]}, "one factor per channel of x");
  check_previous("TokenShiftForward.previous", previous, x);
  expect_first_positions("TokenShiftForward.first", first, x.shape[0], x.shape[1]);
  expect_float_dtypes("TokenShiftForward", *this);
}

Cost TokenShiftForward::cost() const {
  return {.flops = (1.0 + 2.0 * mixes) * double(x.size()), .bytes = operand_bytes(*this)};
}

void TokenShiftBackward::check() const {
  check_count("TokenShiftBackward.mixes", mixes);
  check_rank("TokenShiftBackward.x", x);
  expect_shape("TokenShiftBackward.dx", dx, x.shape, "the shape of x");
  check_each("TokenShiftBackward.dy", dy, mixes, x.shape, "the shape of x");
  check_each("TokenShiftBackward.mix", mix, mixes, {x.shape[2]}, "one factor per channel of x");
  check_each("TokenShiftBackward.dmix", dmix, mixes, {x.shape[2]}, "one factor per channel of x");
  check_previous("TokenShiftBackward.previous", previous, x);
  expect_first_positions("TokenShiftBackward.first", first, x.shape[0], x.shape[1]);
  expect_float_dtypes("TokenShiftBackward", *this);
}

Cost TokenShiftBackward::cost() const {
  return {.flops = 8.0 * mixes * double(x.size()), .bytes = operand_bytes(*this)};
}

void LastToken::check() const {
  check_rank("LastToken.x", x);
  expect_shape("LastToken.y", y, {x.shape[0], x.shape[2]}, "one token per sequence of x");
  expect_float_dtypes("LastToken", *this);
}

Cost LastToken::cost() const { return {.flops = 0, .bytes = 2.0 * double(y.bytes())}; }

}  // namespace metascale
