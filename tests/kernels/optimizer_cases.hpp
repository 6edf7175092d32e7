// Optimizer operators in memories of their own.
#pragma once

#include "kernels/cases/parameters.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct AdamWCase : OwnMemory, cases::AdamStep {
  AdamWCase(Dtype dtype, std::int64_t n, std::int64_t time)
      : OwnMemory{Memory(dtype)}, AdamStep(memory, n, time) {}
  AdamWCase(Dtype dtype, const std::vector<AdamSegment>& segments,
            const std::vector<AdamGroup>& groups)
      : OwnMemory{Memory(dtype)}, AdamStep(memory, segments, groups) {}
};

// Segments of as many elements, segment i of group i.
inline std::vector<AdamSegment> side_by_side(const std::vector<std::int64_t>& counts) {
  std::vector<AdamSegment> segments;
  std::int64_t end = 0;
  for (const std::int64_t count : counts) {
    segments.push_back({end, end, count, std::int64_t(segments.size())});
    end += count;
  }
  return segments;
}

inline Tensor part(Tensor tensor, std::int64_t begin, std::int64_t count) {
  if (!tensor.exists()) return tensor;
  tensor.data = static_cast<std::byte*>(tensor.data) + std::size_t(begin) * size_of(tensor.dtype);
  tensor.shape = {count};
  return tensor;
}

// op on one of its segments alone, whose elements are then all that it has.
inline AdamW alone(Memory& memory, AdamW op, const AdamSegment& segment) {
  const auto cut =
      cut_segments({{.count = segment.count}},
                   {.parameters = segment.count, .moments = segment.count, .groups = 1});
  for (Tensor* tensor : {&op.parameters, &op.gradients, &op.copy})
    *tensor = part(*tensor, segment.first, segment.count);
  for (Tensor* tensor : {&op.m, &op.v}) *tensor = part(*tensor, segment.moment, segment.count);
  op.segments =
      memory.given({std::int64_t(cut.size()), AdamSegment::words}, Dtype::i32, cut.data());
  op.groups = {op.groups[std::size_t(segment.group)]};
  op.rounding.first += segment.first;
  return op;
}

// A shard: its moments come in another order than its parameters, and some parameters, which stay
// as they are, have none.
inline std::vector<AdamSegment> segments_of_a_shard() {
  return {{.first = 4200, .moment = 0, .count = 4097, .group = 0},
          {.first = 0, .moment = 4097, .count = 37, .group = 2},
          {.first = 37, .moment = 4134, .count = 1, .group = 1},
          {.first = 100, .moment = 4135, .count = 4099, .group = 0}};
}
inline std::vector<AdamGroup> three_groups() {
  return {{.rate = 0.01, .weight_decay = 0.1, .time = 7},
          {.rate = 0.02, .time = 7},
          {.rate = 0.003, .weight_decay = 0.3, .time = 2}};
}

// One operator over all segments leaves what one after the other leave. execute: runs an operator.
template <typename Execute>
void expect_same_bits_as_one_by_one(AdamWCase together, AdamWCase apart,
                                    const std::vector<AdamSegment>& segments, Execute&& execute) {
  execute(together.forward);
  for (const AdamSegment& segment : segments) execute(alone(apart.memory, apart.forward, segment));
  const auto a = outputs_of(together.forward), b = outputs_of(apart.forward);
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO("operand " << a[i].name);
    CHECK(same_bits(a[i].tensor, b[i].tensor));
  }
}

// In f32, f64, and f32 with a copy in bf16.
template <typename Execute>
void expect_same_bits_as_one_by_one(const std::vector<AdamSegment>& segments,
                                    const std::vector<AdamGroup>& groups, Execute&& execute) {
  const auto with_copy = [&](bool stochastic) {
    AdamWCase item(Dtype::f32, segments, groups);
    item.forward.copy = item.memory.output(item.forward.parameters.shape, Dtype::bf16);
    item.forward.rounding = {.stochastic = stochastic, .step = 9, .first = 17};
    return item;
  };
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    expect_same_bits_as_one_by_one(AdamWCase(dtype, segments, groups),
                                   AdamWCase(dtype, segments, groups), segments, execute);
  for (const bool stochastic : {false, true})
    expect_same_bits_as_one_by_one(with_copy(stochastic), with_copy(stochastic), segments, execute);
}

struct SumOfSquaresCase : OwnMemory, cases::Squares {
  SumOfSquaresCase(Dtype dtype, std::int64_t n) : OwnMemory{Memory(dtype)}, Squares(memory, n) {}
};

}  // namespace metascale::testing
