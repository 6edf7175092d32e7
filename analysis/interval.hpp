// Intervals out of bootstrap draws: percentile, and bias-corrected and accelerated (BCa)
// [Efron, Tibshirani 1993, 14.3].
#pragma once

#include <span>
#include <vector>

namespace metascale {

struct Interval {  // NaN, NaN: none could be computed
  double low = __builtin_nan(""), high = __builtin_nan("");

  bool known() const { return low <= high; }
  bool excludes(double value) const { return known() && (value < low || value > high); }
};

// The quantile of sorted values at fraction in [0, 1], linear between neighbours; NaN of none.
double quantile(std::span<const double> sorted, double fraction);

// Central interval of the draws that are numbers, infinite ones among them: an end is infinite
// where more draws than lie beyond it are. Unknown if fewer than half are numbers.
Interval percentile_interval(std::vector<double> draws, double confidence);

// estimate: of the data itself; leave_one_out: estimates without each unit in turn.
Interval bca_interval(std::vector<double> draws, double estimate,
                      std::span<const double> leave_one_out, double confidence);

double normal_distribution(double x);        // Phi
double normal_quantile(double probability);  // its inverse; -+infinity at 0 and 1

}  // namespace metascale
