// IsoFLOP profiles: per compute budget a parabola of loss in ln N, then a line of ln N* in ln C
// [Hoffmann et al. 2022, approach 2; docs/analysis.md, "Scaling laws"].
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/fit.hpp"

namespace metascale {

// One run. Runs of one budget and one N differ by their seed only: they are one point of a
// parabola, at their mean.
struct IsoflopPoint {
  double flops = 0, parameters = 0, loss = 0;
};

// FLOPs within this share of the cheapest run's are of one budget: lengths are rounded, and a token
// costs arms unequally.
inline constexpr double same_budget = 0.1;
inline bool is_of_budget(double flops, double cheapest) {
  return flops <= (1 + same_budget) * cheapest;
}
// Gives the points of each budget its geometric mean for FLOPs. Returns the largest share by which
// the dearest of a budget exceeded its cheapest; 0: nothing was changed.
double merge_budgets(std::span<IsoflopPoint> points);

struct IsoflopOptions {
  std::size_t nearest = 5;  // sizes of each parabola, nearest the lowest one in ln N; 0: all
  FitOptions fit;           // draws, seed, confidence, seed_deviation
};

inline constexpr std::size_t fewest_sizes = 3;  // of a parabola
// Share of the draws that may be refused, or without an exponent, before it is a warning.
inline constexpr double most_refused_draws = 0.05;

struct IsoflopBudget {
  double flops = 0;
  std::size_t sizes = 0;             // in the parabola
  double smallest = 0, largest = 0;  // N of those
  // Of the parabola; NaN where there are too few sizes for one.
  double curvature = __builtin_nan("");   // of the loss, in nats per (ln N) squared, halved
  double parameters = __builtin_nan("");  // N* at its minimum
  // Of N*, by drawing the runs' seed noise. A draw without a minimum inside the profile says only
  // on which side N* lies: it counts as 0 or as infinite.
  Interval interval;
  double refused_draws = 0;            // share of the draws in which the minimum was refused
  double loss = __builtin_nan("");     // at N*
  std::string problem;                 // why it is refused; empty: it is used
  double loss_at(double other) const;  // of the parabola, at N = other
};

struct IsoflopLine {  // ln N* = intercept + slope ln C
  double intercept = __builtin_nan(""), slope = __builtin_nan("");
  double parameters_at(double flops) const;
};

struct IsoflopFit {
  std::vector<IsoflopBudget> budgets;   // ascending by flops
  double coefficient = 0;               // N* = coefficient C^exponent
  double exponent = 0;                  // NaN with fewer than two accepted budgets
  double unchecked_exponent = 0;        // through every parabola's minimum, the refused ones too
  Interval interval;                    // of the exponent, by drawing the runs' seed noise
  double token_exponent = 0;            // 1 - exponent, with C = 6 N D
  std::vector<IsoflopLine> replicates;  // of each draw; NaN where fewer than two budgets had an N*
  std::vector<std::string> problems;    // fit health: empty is good

  bool healthy() const { return problems.empty(); }
  double predict(double flops) const;  // N*, for any budget
  Interval predict_interval(double flops, double confidence = 0.95) const;
};

// Points of equal FLOPs are one budget (merge_budgets makes them so). Throws Error{bad_input} if a
// value is not positive and finite.
IsoflopFit fit_isoflop(std::span<const IsoflopPoint> points, const IsoflopOptions& options = {});

}  // namespace metascale
