#include "core/line_fit.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace metascale {
namespace {

// The 97.5 % point of the t distribution with so many degrees of freedom, 1 or more.
double student_t_quantile(std::size_t freedom) {
  constexpr double points[] = {12.706, 4.303, 3.182, 2.776, 2.571,
                               2.447,  2.365, 2.306, 2.262, 2.228};
  return points[std::min(freedom, std::size(points)) - 1];
}

}  // namespace

std::optional<LineFit> fit_line(std::span<const double> x, std::span<const double> y) {
  const std::size_t n = x.size();
  if (n < 3) return std::nullopt;
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0, squares = 0;
  for (std::size_t i = 0; i < n; ++i) mean_x += x[i] / double(n), mean_y += y[i] / double(n);
  for (std::size_t i = 0; i < n; ++i)
    xx += (x[i] - mean_x) * (x[i] - mean_x), xy += (x[i] - mean_x) * (y[i] - mean_y);
  if (!(xx > 0)) return std::nullopt;
  const double slope = xy / xx;
  for (std::size_t i = 0; i < n; ++i) {
    const double residual = y[i] - mean_y - slope * (x[i] - mean_x);
    squares += residual * residual;
  }
  return LineFit{.slope = slope,
                 .half = student_t_quantile(n - 2) * std::sqrt(squares / double(n - 2) / xx)};
}

}  // namespace metascale
