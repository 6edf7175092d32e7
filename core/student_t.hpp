// Student's t distribution, for intervals of 95 %.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace metascale {

// The 97.5 % point with this many degrees of freedom, 1 or more; beyond 10 that of 10, which is
// wider than the right one (2.228; the normal's is 1.960).
inline double student_t_quantile(std::size_t freedom) {
  constexpr double points[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                               2.447,  2.365, 2.306, 2.262, 2.228};
  return points[std::min(freedom, std::size(points)) - 1];
}

}  // namespace metascale
