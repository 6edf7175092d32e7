// Two arms under one law: L = E + A_arm N^-alpha + B_arm D^-beta with E, alpha and beta shared.
// Better conditioned than two separate laws, and its coefficients of the arms can be compared as
// they stand [docs/analysis.md, "Two arms under one law"].
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "analysis/fit.hpp"

namespace metascale {

struct JointFit {
  // In the order of `names`: A and B of the first arm, A and B of the second, E, alpha, beta.
  static constexpr std::array<const char*, 7> names{"A_first", "B_first", "A_second", "B_second",
                                                    "E",       "alpha",   "beta"};
  std::vector<double> inside;                          // A, B and E as logarithms
  std::vector<double> coefficients;                    // as people know them
  std::vector<Interval> intervals;                     // empty without bootstrap
  std::array<std::vector<FitPoint>, 2> points_of_arm;  // that were fitted
  std::array<Prediction, 2> ahead;  // of each arm, at twice the largest N and D of both
  double ratio_a = 0, ratio_b = 0;  // second over first arm: below 1, the second arm is better
  Interval interval_a, interval_b;
  double objective = 0;           // of the joint fit
  double separate_objective = 0;  // sum over arms that were fitted alone
  double agreement = 0;           // share of the ten best starts that found the optimum
  double worst_residual = 0;      // largest |L' / L - 1|
  std::int64_t points = 0, cells = 0;
  // Share of tables drawn from the joint law in which separate fits win by as much as here: small
  // where the arms do not share E, alpha and beta. NaN without bootstrap.
  double p_value = 0;
  std::vector<std::string> problems;  // fit health: empty is good

  bool healthy() const { return problems.empty(); }
  double predict(std::size_t arm, std::span<const double> x) const;  // x = {N, D}
};

// A joint fit with its arms' names; a report has them over all lengths, in non-embedding N and D.
struct JointReport {
  std::string first_arm, second_arm;
  JointFit fit;
};

// Points have x = {N, D}. options.draws intervals, and as many tables for the p-value, at most 500.
// Throws Error{bad_input} as fit_law does, for either arm.
JointFit fit_jointly(std::span<const FitPoint> first, std::span<const FitPoint> second,
                     const FitOptions& options = {});

}  // namespace metascale
