#include "kernels/self_state.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

// Three axes of `heads` and the D channels of which its heads read blocks of N.
struct Sizes {
  std::int64_t R, heads, N, D;
};

Sizes sizes_of(const char* heads_name, const Tensor& heads, const char* channels_name,
               const Tensor& channels) {
  expect_rank(heads_name, heads, 3, "(R, H_s, N)");
  expect_rank(channels_name, channels, 2, "(R, D)");
  const Shape per_head = merged(heads.shape, 3), flat = merged(channels.shape, 2);
  const Sizes sizes{per_head[0], per_head[1], per_head[2], flat[1]};
  if (flat[0] != sizes.R)
    throw Error(concat(channels_name, " has shape ", channels.shape, " but must have ", sizes.R,
                       " rows: as many as ", heads_name));
  if (sizes.N < 1 || sizes.D < 1 || sizes.D % sizes.N != 0)
    throw Error(concat(channels_name, " has ", sizes.D, " channels, which are no whole number of ",
                       "blocks of N = ", sizes.N, ": take a width that N divides"));
  return sizes;
}

// The mix reads the first H_s of the H heads of e; gamma has H_s rows.
void expect_gamma(const char* name, const Tensor& gamma, const Sizes& sizes) {
  const std::int64_t heads = gamma.shape.rank == 2 && gamma.shape[0] >= 1 ? gamma.shape[0] : 1;
  expect_shape(name, gamma, {heads < sizes.heads ? heads : sizes.heads, sizes.N},
               "(H_s, N), for not more heads than e has");
}

}  // namespace

void SelfStateQueryForward::check() const {
  const Sizes sizes = sizes_of("SelfStateQueryForward.q", q, "SelfStateQueryForward.c", c);
  expect_merged_shape("SelfStateQueryForward.inverse_norm", inverse_norm, {sizes.R, sizes.heads},
                      "one norm per row and head of q");
  expect_float_dtypes("SelfStateQueryForward", *this);
}

Cost SelfStateQueryForward::cost() const {
  return {.flops = 3 * double(q.size()), .bytes = operand_bytes(*this)};
}

void SelfStateQueryBackward::check() const {
  const Sizes sizes = sizes_of("SelfStateQueryBackward.q", q, "SelfStateQueryBackward.dc", dc);
  expect_shape("SelfStateQueryBackward.dq", dq, q.shape, "the shape of q");
  expect_merged_shape("SelfStateQueryBackward.inverse_norm", inverse_norm, {sizes.R, sizes.heads},
                      "one norm per row and head of q");
  expect_float_dtypes("SelfStateQueryBackward", *this);
}

Cost SelfStateQueryBackward::cost() const {
  return {.flops = 6 * double(q.size()), .bytes = operand_bytes(*this)};
}

void SelfStateMixForward::check() const {
  const Sizes sizes = sizes_of("SelfStateMixForward.e", e, "SelfStateMixForward.c", c);
  expect_gamma("SelfStateMixForward.gamma", gamma, sizes);
  expect_shape("SelfStateMixForward.z", z, c.shape, "the shape of c");
  expect_float_dtypes("SelfStateMixForward", *this);
}

Cost SelfStateMixForward::cost() const {
  const double rows = double(merged(c.shape, 2)[0]);
  return {.flops = 2 * rows * double(gamma.size()), .bytes = operand_bytes(*this)};
}

void SelfStateMixBackward::check() const {
  const Sizes sizes = sizes_of("SelfStateMixBackward.e", e, "SelfStateMixBackward.dz", dz);
  expect_gamma("SelfStateMixBackward.gamma", gamma, sizes);
  expect_shape("SelfStateMixBackward.dgamma", dgamma, gamma.shape, "the shape of gamma");
  expect_shape("SelfStateMixBackward.de", de, e.shape, "the shape of e");
  expect_shape("SelfStateMixBackward.dc", dc, dz.shape, "the shape of dz");
  expect_float_dtypes("SelfStateMixBackward", *this);
}

Cost SelfStateMixBackward::cost() const {
  const double rows = double(merged(dz.shape, 2)[0]);
  return {.flops = 3 * rows * double(gamma.size()) + double(dz.size()),
          .bytes = operand_bytes(*this)};
}

}  // namespace metascale
