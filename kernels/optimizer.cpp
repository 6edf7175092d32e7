#include "kernels/optimizer.hpp"

#include <algorithm>

#include "kernels/checks.hpp"

namespace metascale {
namespace {

constexpr std::int64_t longest_segment = 4096;
static_assert(sizeof(AdamSegment) == AdamSegment::words * sizeof(std::int32_t));

void expect_moments_in_order(const std::vector<AdamSegment>& segments, std::int64_t moments) {
  std::int64_t end = 0;
  for (const AdamSegment& segment : segments) {
    if (segment.moment != end)
      throw Error(concat("AdamW.segments: one begins at moment ", segment.moment,
                         " but must begin at ", end, ", where the one before it ends"));
    end += segment.count;
  }
  if (end != moments)
    throw Error(concat("AdamW.segments end at moment ", end, " but must end at ", moments,
                       ": every element of m and v has its segment"));
}

void expect_own_parameters(std::vector<AdamSegment> segments, std::int64_t parameters) {
  std::sort(segments.begin(), segments.end(),
            [](const AdamSegment& a, const AdamSegment& b) { return a.first < b.first; });
  std::int64_t end = 0;
  for (const AdamSegment& segment : segments) {
    if (segment.first < end)
      throw Error(concat("AdamW.segments: one begins at parameter ", segment.first,
                         " but must not begin before ", end, ", where another ends"));
    end = segment.first + segment.count;
  }
  if (end > parameters)
    throw Error(
        concat("AdamW.segments: one ends at parameter ", end, " but there are ", parameters));
}

}  // namespace

std::vector<AdamSegment> cut_segments(const std::vector<AdamSegment>& segments,
                                      const AdamExtents& extents) {
  expect_moments_in_order(segments, extents.moments);
  expect_own_parameters(segments, extents.parameters);
  std::vector<AdamSegment> cut;
  for (const AdamSegment& segment : segments) {
    if (segment.group < 0 || segment.group >= extents.groups)
      throw Error(concat("AdamW.segments: one is of group ", segment.group, " but there are ",
                         extents.groups));
    for (std::int64_t done = 0; done < segment.count; done += longest_segment)
      cut.push_back({.first = segment.first + done,
                     .moment = segment.moment + done,
                     .count = std::min(longest_segment, segment.count - done),
                     .group = segment.group});
  }
  return cut;
}

void AdamW::check() const {
  expect_shape("AdamW.v", v, m.shape, "the shape of m");
  expect_shape("AdamW.gradients", gradients, parameters.shape, "the shape of parameters");
  if (copy.exists()) {
    expect_shape("AdamW.copy", copy, parameters.shape, "the shape of parameters");
    expect_dtype("AdamW.copy", copy, Dtype::bf16, "it is what products of bf16 read");
    expect_dtype("AdamW.parameters", parameters, Dtype::f32, "parameters with a bf16 copy");
  }
  expect_shape("AdamW.segments", segments, {segments.shape[0], AdamSegment::words},
               "an AdamSegment in each row");
  expect_dtype("AdamW.segments", segments, Dtype::i32, "words of 32 bits");
  expect_float_dtypes("AdamW", *this);
  if (groups.empty()) throw Error("AdamW.groups is empty but must hold what segments refer to");
  for (const AdamGroup& group : groups)
    if (group.time < 1)
      throw Error(concat("AdamW.groups: a time is ", group.time,
                         " but must be at least 1: the first step is 1"));
  for (const auto& [name, beta] : {std::pair{"beta1", beta1}, std::pair{"beta2", beta2}})
    if (!(beta >= 0 && beta < 1))
      throw Error(concat("AdamW.", name, " is ", beta, " but must be in [0, 1)"));
}

Cost AdamW::cost() const {
  const double updated = double(m.size());
  return {.flops = 16.0 * updated,
          .bytes = updated * (7.0 * double(size_of(m.dtype)) +
                              (copy.exists() ? double(size_of(copy.dtype)) : 0.0))};
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
