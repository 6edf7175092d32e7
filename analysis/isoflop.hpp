// IsoFLOP profiles: per compute budget a parabola of loss in ln N, then a line of ln N* in ln C
// [Hoffmann et al. 2022, approach 2; docs/analysis.md, "Fits"].
#pragma once

#include <span>
#include <string>
#include <vector>

#include "analysis/fit.hpp"

namespace metascale {

struct IsoflopPoint {
  double flops = 0, parameters = 0, loss = 0;
};

struct IsoflopOptions {
  std::size_t nearest = 5;  // points of each parabola, nearest the lowest one in ln N; 0: all
  FitOptions fit;           // draws, seed, confidence, seed_deviation
};

struct IsoflopBudget {
  double flops = 0;
  std::size_t points = 0;  // in the parabola
  double curvature = 0;    // of the loss, in nats per (ln N) squared, halved
  double parameters = 0;   // N* at the parabola's minimum
  double loss = 0;         // there
  std::string problem;     // why it is refused; empty: it is used
};

struct IsoflopFit {
  std::vector<IsoflopBudget> budgets;  // ascending by flops
  double coefficient = 0;              // N* = coefficient C^exponent
  double exponent = 0;                 // NaN with fewer than two accepted budgets
  double unchecked_exponent = 0;       // through every parabola's minimum, the refused ones too
  Interval interval;                   // of the exponent, by drawing the runs' seed noise
  double token_exponent = 0;           // 1 - exponent, with C = 6 N D
  std::vector<std::string> problems;   // fit health: empty is good
  bool healthy() const { return problems.empty(); }
};

// Throws Error{bad_input} if a value is not positive and finite.
IsoflopFit fit_isoflop(std::span<const IsoflopPoint> points, const IsoflopOptions& options = {});

}  // namespace metascale
