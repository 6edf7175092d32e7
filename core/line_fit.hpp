// A straight line through points, by least squares.
#pragma once

#include <optional>
#include <span>

namespace metascale {

struct LineFit {
  double slope = 0;
  double half = 0;  // of the slope's interval of 95 %, by Student's t distribution
};

// Nothing for fewer than three points, or points of one x. Beyond 12 points the t distribution is
// that of 12, whose interval is wider than the right one. x and y are of one length.
std::optional<LineFit> fit_line(std::span<const double> x, std::span<const double> y);

}  // namespace metascale
