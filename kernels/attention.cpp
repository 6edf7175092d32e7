#include "kernels/attention.hpp"

#include "kernels/checks.hpp"
#include "kernels/cuda/attention.hpp"

namespace metascale {
namespace {

// Pairs of a query and a key that it sees, over all sequences and heads; what a block-diagonal mask
// hides is counted, because nobody knows it before the data.
double visible_pairs(const Tensor& q, const Tensor& k) {
  const double B = double(q.shape[0]), T = double(q.shape[1]), H = double(q.shape[2]);
  const double S = double(k.shape[1]);
  return B * H * (T * (T + 1) / 2 + T * (S - T));
}

void check_heads(const char* what, const Tensor& q) {
  if (q.shape.rank != 4)
    throw Error(concat(what, " has shape ", q.shape, " but must have 4 axes: (B, T, H, N)"));
}

}  // namespace

void AttentionForward::check() const {
  check_heads("AttentionForward.q", q);
  check_heads("AttentionForward.k", k);
  const std::int64_t B = q.shape[0], T = q.shape[1], H = q.shape[2], N = q.shape[3];
  const std::int64_t S = k.shape[1];
  if (S < T)
    throw Error(concat("AttentionForward.k has ", S, " tokens but must have at least ", T,
                       ": the queries are the last tokens of the keys"));
  expect_shape("AttentionForward.k", k, {B, S, H, N}, "the sequences and heads of q");
  expect_shape("AttentionForward.v", v, k.shape, "the shape of k");
  expect_shape("AttentionForward.y", y, q.shape, "the shape of q");
  expect_shape("AttentionForward.lse", lse, {B, H, T}, "one number per query");
  if (first.exists() && S != T)
    throw Error(
        concat("AttentionForward.first is for as many keys as queries, not for ", S, " and ", T));
  expect_first_positions("AttentionForward.first", first, B, T);
  expect_float_dtypes("AttentionForward", *this);
}

Cost AttentionForward::cost() const {
  return {.flops = (4.0 * double(q.shape[3]) + 10) * visible_pairs(q, k),
          .bytes = operand_bytes(*this)};
}

std::int64_t AttentionBackward::scratch_elements() const {
  if (!cuda::has_cudnn_attention()) return 0;
  return cuda::planned_cudnn_bytes(*this) / std::int64_t(size_of(Dtype::bf16));
}

void AttentionBackward::check() const {
  check_heads("AttentionBackward.q", q);
  const std::int64_t B = q.shape[0], T = q.shape[1], H = q.shape[2];
  expect_shape("AttentionBackward.k", k, q.shape, "the shape of q: there is no cache in training");
  expect_shape("AttentionBackward.v", v, q.shape, "the shape of q");
  expect_shape("AttentionBackward.y", y, q.shape, "the shape of q");
  expect_shape("AttentionBackward.dy", dy, q.shape, "the shape of q");
  expect_shape("AttentionBackward.dq", dq, q.shape, "the shape of q");
  expect_shape("AttentionBackward.dk", dk, q.shape, "the shape of q");
  expect_shape("AttentionBackward.dv", dv, q.shape, "the shape of q");
  expect_shape("AttentionBackward.lse", lse, {B, H, T}, "one number per query");
  expect_first_positions("AttentionBackward.first", first, B, T);
  if (scratch.exists())
    expect_dtype("AttentionBackward.scratch", scratch, Dtype::bf16, "cuDNN works in it");
  expect_float_dtypes("AttentionBackward", *this);
}

Cost AttentionBackward::cost() const {
  return {.flops = (10.0 * double(q.shape[3]) + 12) * visible_pairs(q, k),
          .bytes = operand_bytes(*this)};
}

}  // namespace metascale
