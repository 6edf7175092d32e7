#include "kernels/reset.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

void check_first(const char* what, const Tensor& first, const char* rows_of, const Tensor& x) {
  expect_rank(rows_of, x, 3, "(B, T, ...)");
  if (!first.exists())
    throw Error(concat(what, " is missing: without it no token is known to start a document"));
  expect_first_positions(what, first, x.shape[0], x.shape[1]);
}

}  // namespace

void ResetForward::check() const {
  check_first("ResetForward.first", first, "ResetForward.x", x);
  expect_shape("ResetForward.y", y, x.shape, "the shape of x");
  expect_float_dtypes("ResetForward", *this);
}

Cost ResetForward::cost() const { return {.flops = 0, .bytes = operand_bytes(*this)}; }

void ResetBackward::check() const {
  check_first("ResetBackward.first", first, "ResetBackward.dy", dy);
  expect_shape("ResetBackward.dx", dx, dy.shape, "the shape of dy");
  expect_float_dtypes("ResetBackward", *this);
}

Cost ResetBackward::cost() const {
  return {.flops = double(dy.size()), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
