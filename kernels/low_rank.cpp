#include "kernels/low_rank.hpp"

#include "kernels/checks.hpp"

namespace metascale {
namespace {

void check_count(const char* what, int maps) {
  if (maps < 1 || maps > max_maps)
    throw Error(concat(what, " is ", maps, " but must be from 1 to ", max_maps));
}

// Each of the first `maps` tensors has the shape `leading` with one more axis, of its own extent.
void check_each(const char* what, const PerMap& tensors, int maps, Shape leading,
                const char* because) {
  for (int m = 0; m < maps; ++m) {
    const Tensor& tensor = tensors[std::size_t(m)];
    Shape wanted = leading;
    wanted.extents[std::size_t(wanted.rank++)] =
        tensor.exists() ? tensor.shape[tensor.shape.rank - 1] : 1;
    if (tensor.shape == wanted) continue;  // the name is made for an error only: no allocation
    expect_shape(concat(what, "[", m, "]").c_str(), tensor, wanted, because);
  }
}

// `what`[m] has the shape of others[m].
void check_same(const char* what, const PerMap& tensors, const PerMap& others, int maps,
                const char* because) {
  for (std::size_t m = 0; m < std::size_t(maps); ++m) {
    if (tensors[m].shape == others[m].shape) continue;
    expect_shape(concat(what, "[", m, "]").c_str(), tensors[m], others[m].shape, because);
  }
}

void check_mixes(const char* what, const PerMap& mix, int maps, std::int64_t D) {
  for (int m = 0; m < maps; ++m) {
    const Tensor& tensor = mix[std::size_t(m)];
    if (tensor.shape == Shape{D}) continue;
    expect_shape(concat(what, "[", m, "]").c_str(), tensor, {D}, "one factor per row of joined");
  }
}

void check_rank(const char* what, const Tensor& tensor, int rank, const char* axes) {
  if (tensor.shape.rank != rank)
    throw Error(
        concat(what, " has shape ", tensor.shape, " but must have ", rank, " axes: ", axes));
}

// The last axis holds both halves of every map.
void check_columns(const char* what, const Tensor& both, const PerMap& parts, int maps) {
  std::int64_t columns = 0;
  for (int m = 0; m < maps; ++m) {
    const Shape& shape = parts[std::size_t(m)].shape;
    columns += 2 * shape[shape.rank - 1];
  }
  Shape wanted = both.shape;
  wanted.extents[std::size_t(wanted.rank - 1)] = columns;
  expect_shape(what, both, wanted, "twice the ranks of all maps");
}

double flops_of(HiddenKind kind) {  // per element, as ActivationForward counts them
  switch (kind) {
    case HiddenKind::linear: return 0;
    case HiddenKind::tanh: return 8;
    case HiddenKind::sigmoid: return 10;
  }
  return 0;
}

}  // namespace

void JoinFactorsForward::check() const {
  check_count("JoinFactorsForward.maps", maps);
  check_rank("JoinFactorsForward.joined", joined, 2, "(D, 2 R)");
  const std::int64_t D = joined.shape[0];
  check_each("JoinFactorsForward.weight", weight, maps, {D}, "one row per row of joined");
  check_mixes("JoinFactorsForward.mix", mix, maps, D);
  check_columns("JoinFactorsForward.joined", joined, weight, maps);
  expect_float_dtypes("JoinFactorsForward", *this);
}

Cost JoinFactorsForward::cost() const {
  return {.flops = 1.5 * double(joined.size()), .bytes = operand_bytes(*this)};
}

void JoinFactorsBackward::check() const {
  check_count("JoinFactorsBackward.maps", maps);
  check_rank("JoinFactorsBackward.djoined", djoined, 2, "(D, 2 R)");
  const std::int64_t D = djoined.shape[0];
  check_each("JoinFactorsBackward.weight", weight, maps, {D}, "one row per row of djoined");
  check_same("JoinFactorsBackward.dweight", dweight, weight, maps, "the shape of weight");
  check_mixes("JoinFactorsBackward.mix", mix, maps, D);
  check_mixes("JoinFactorsBackward.dmix", dmix, maps, D);
  check_columns("JoinFactorsBackward.djoined", djoined, weight, maps);
  expect_float_dtypes("JoinFactorsBackward", *this);
}

Cost JoinFactorsBackward::cost() const {
  return {.flops = 3.5 * double(djoined.size()), .bytes = operand_bytes(*this)};
}

void SplitHiddenForward::check() const {
  check_count("SplitHiddenForward.maps", maps);
  check_rank("SplitHiddenForward.product", product, 3, "(B, T, 2 R)");
  const std::int64_t B = product.shape[0], T = product.shape[1];
  check_each("SplitHiddenForward.hidden", hidden, maps, {B, T}, "one row per row of product");
  check_columns("SplitHiddenForward.product", product, hidden, maps);
  if (previous.exists())
    expect_shape("SplitHiddenForward.previous", previous, {B, product.shape[2]},
                 "one token per sequence of product");
  expect_first_positions("SplitHiddenForward.first", first, B, T);
  expect_float_dtypes("SplitHiddenForward", *this);
}

Cost SplitHiddenForward::cost() const {
  double flops = 0;
  for (std::size_t m = 0; m < std::size_t(maps); ++m)
    flops += (1 + flops_of(kind[m])) * double(hidden[m].size());
  return {.flops = flops, .bytes = operand_bytes(*this)};
}

void SplitHiddenBackward::check() const {
  check_count("SplitHiddenBackward.maps", maps);
  check_rank("SplitHiddenBackward.dproduct", dproduct, 3, "(B, T, 2 R)");
  const std::int64_t B = dproduct.shape[0], T = dproduct.shape[1];
  check_each("SplitHiddenBackward.hidden", hidden, maps, {B, T}, "one row per row of dproduct");
  check_same("SplitHiddenBackward.dhidden", dhidden, hidden, maps, "the shape of hidden");
  check_columns("SplitHiddenBackward.dproduct", dproduct, hidden, maps);
  if (dprevious.exists())
    expect_shape("SplitHiddenBackward.dprevious", dprevious, {B, dproduct.shape[2]},
                 "one token per sequence of dproduct");
  expect_first_positions("SplitHiddenBackward.first", first, B, T);
  expect_float_dtypes("SplitHiddenBackward", *this);
}

Cost SplitHiddenBackward::cost() const {
  double flops = 0;
  for (std::size_t m = 0; m < std::size_t(maps); ++m)
    flops += (kind[m] == HiddenKind::linear ? 0 : 6) * double(hidden[m].size());
  return {.flops = flops, .bytes = operand_bytes(*this)};
}

}  // namespace metascale
