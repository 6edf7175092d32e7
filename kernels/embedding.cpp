#include "kernels/embedding.hpp"

#include "kernels/checks.hpp"

namespace metascale {

void EmbeddingForward::check() const {
  expect_rank("EmbeddingForward.weight", weight, 2, "(V, D)");
  expect_merged_shape("EmbeddingForward.y", y, {tokens.size(), weight.shape[1]},
                      "one row of weight per token");
  expect_dtype("EmbeddingForward.tokens", tokens, Dtype::i32, "tokens are indices");
  expect_float_dtypes("EmbeddingForward", *this);
}

Cost EmbeddingForward::cost() const {
  // Of weight only the rows looked up are read.
  return {.flops = 0, .bytes = 2.0 * double(y.bytes()) + double(tokens.bytes())};
}

void EmbeddingBackward::check() const {
  expect_rank("EmbeddingBackward.dweight", dweight, 2, "(V, D)");
  expect_merged_shape("EmbeddingBackward.dy", dy, {tokens.size(), dweight.shape[1]},
                      "one row of dweight per token");
  expect_dtype("EmbeddingBackward.tokens", tokens, Dtype::i32, "tokens are indices");
  expect_float_dtypes("EmbeddingBackward", *this);
}

Cost EmbeddingBackward::cost() const {
  const double cleared = dweight.fresh ? double(dweight.bytes()) : 0;
  return {.flops = double(dy.size()),
          .bytes = 3.0 * double(dy.bytes()) + double(tokens.bytes()) + cleared};
}

}  // namespace metascale
