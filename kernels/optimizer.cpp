#include "kernels/optimizer.hpp"

#include "kernels/checks.hpp"

namespace metascale {

void AdamW::check() const {
  expect_shape("AdamW.m", m, parameters.shape, "the shape of parameters");
  expect_shape("AdamW.v", v, parameters.shape, "the shape of parameters");
  expect_shape("AdamW.gradients", gradients, parameters.shape, "the shape of parameters");
  if (copy.exists()) {
    expect_shape("AdamW.copy", copy, parameters.shape, "the shape of parameters");
    expect_dtype("AdamW.copy", copy, Dtype::bf16, "it is what products of bf16 read");
    expect_dtype("AdamW.parameters", parameters, Dtype::f32, "parameters with a bf16 copy");
  }
  expect_float_dtypes("AdamW", *this);
  if (time < 1)
    throw Error(concat("AdamW.time is ", time, " but must be at least 1: the first step is 1"));
  for (const auto& [name, beta] : {std::pair{"beta1", beta1}, std::pair{"beta2", beta2}})
    if (!(beta >= 0 && beta < 1))
      throw Error(concat("AdamW.", name, " is ", beta, " but must be in [0, 1)"));
}

Cost AdamW::cost() const {
  return {.flops = 16.0 * double(parameters.size()),
          .bytes = 6.0 * double(parameters.bytes()) + double(gradients.bytes() + copy.bytes())};
}

void SumOfSquares::check() const {
  expect_shape("SumOfSquares.sum", sum, {1}, "one number");
  expect_dtype("SumOfSquares.sum", sum, Dtype::f64, "the sum is kept in f64");
  const std::int64_t blocks = (x.size() + block - 1) / block;
  expect_shape("SumOfSquares.partials", partials, {blocks}, "one sum per block of x");
  expect_dtype("SumOfSquares.partials", partials, Dtype::f64, "the sum is kept in f64");
  if (x.dtype != Dtype::f32 && x.dtype != Dtype::f64)
    throw Error(concat("SumOfSquares.x is ", name_of(x.dtype), " but must be f32 or f64"));
}

Cost SumOfSquares::cost() const {
  return {.flops = 2.0 * double(x.size()), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
