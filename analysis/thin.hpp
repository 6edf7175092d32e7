// Fewer points for a picture of a curve, without losing a spike: from each stretch the first, the
// lowest, the highest and the last point are kept.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace metascale {

// Indices, ascending, of at most `limit` of the values (limit >= 4); all of them if they are no
// more. Values must be finite.
std::vector<std::size_t> thin(std::span<const double> values, std::size_t limit);

}  // namespace metascale
