// Equivalent gains: how much more compute, or how many more parameters, the baseline needs to reach
// an arm's loss [docs/analysis.md, "Gains"]. Only inside the baseline's fitted range.
#pragma once

#include <string>

#include "analysis/fit.hpp"

namespace metascale {

// How far an arm's loss lies below the baseline's law.
struct Advantage {
  double baseline_loss = __builtin_nan("");  // of the law; NaN outside its fitted range
  double share = __builtin_nan("");          // 1 - loss / baseline_loss
  Interval interval;                         // of the share, by replicates of both arms
};

struct EquivalentGain {
  double x = 0;           // of the arm: FLOPs or parameters
  double loss = 0;        // of the arm, measured
  double baseline_x = 0;  // what the baseline's law needs for that loss; NaN: never reaches it
  double gain = 0;        // baseline_x / x
  // Of the gain, by replicates of both arms. In a replicate whose law never reaches the loss the
  // gain is infinite, and so is the end where more of them do than lie beyond it.
  Interval interval;
  bool low_beyond = false, high_beyond = false;  // that end lies outside the fitted range
  bool beyond = false;                           // so does baseline_x: people are shown no number
  Advantage at_equal;                            // at the same x
  std::string problem;                           // why the gain must not be quoted; empty: it may
};

// Both fits have one variable; the arm's replicates give the noise of its loss at x. The two must
// have been drawn with different seeds, so that their noise is independent.
EquivalentGain equivalent_gain(const Fit& baseline, const Fit& arm, double x, double loss,
                               double confidence = 0.95);

// The arm's loss, measured at x, against the baseline's law at baseline_x: the same, or what the
// baseline would have used in the same hours.
Advantage advantage_at(const Fit& baseline, double baseline_x, const Fit& arm, double x,
                       double loss, double confidence = 0.95);

// x at which a law of one variable reaches the loss; NaN if it never does.
double inverse(const Fit& fit, std::span<const double> inside, double loss);

}  // namespace metascale
