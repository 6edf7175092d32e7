// How old each parameter of a grown model is: its optimizer counts from there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

// The leading block of a tensor that was there at step `birth`.
struct Generation {
  Shape block;
  std::int64_t birth = 0;
};
// Of the tensors that grew: their blocks, oldest first; the last is the whole tensor.
using Births = std::map<std::string, std::vector<Generation>>;
Births births_of(const RunConfig& run);

// Elements [begin, begin + count) of a tensor that are equally old. Rank 1 or 2.
struct AgeSpan {
  std::int64_t begin = 0, count = 0, birth = 0;
};
std::vector<AgeSpan> age_spans(const Shape& shape, const std::vector<Generation>& generations);

}  // namespace metascale
