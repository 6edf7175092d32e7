// Cost against context: time and memory of a training token by the length of its window, time and
// memory of a generated token by its position. On the CPU, in f32.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config.hpp"

namespace metascale {

struct ContextCostOptions {
  std::int64_t least = 256,
               most = 32768;  // tokens; the lengths between are least times powers of 2
  double seconds = 60;        // about, of one model's training, and of its generation
  int threads = 1;
  int repeats = 3;  // rounds over all lengths, whose median counts
};

struct CostPoint {
  std::int64_t size = 0;  // tokens of the window, or position; of a step: parameters, or tokens
  double seconds = 0;     // per token; the median of the repeats
  double seconds_low = 0, seconds_high = 0;  // between which that median lies
  // Training: activations, per token. generation: carried at this position.
  double planned_bytes = 0;
  // By which the process grew, likewise; parameters not counted. Between two powers of 2 a cache
  // holds up to twice what it carries.
  double resident_bytes = 0;
};

// Where the budget ended the measurement, `left_out` is the first length that was not measured,
// else 0.
struct CostCurve {
  std::vector<CostPoint> points;
  std::int64_t left_out = 0;
};
CostCurve training_cost(const ModelConfig& model, const ContextCostOptions& options);
// Of `metascale generate`: all tokens before a position are read, the last of them one by one,
// which is what is timed.
CostCurve generation_cost(const ModelConfig& model, const ContextCostOptions& options);

// y ~ x^value: the slope of ln y against ln x by least squares, and its 95 % interval by Student's
// t with points - 2 degrees of freedom. A curve that is no power law has a wide interval.
struct Exponent {
  double value = 0, low = 0, high = 0;
  std::size_t points = 0;
};
std::optional<Exponent> fit_exponent(const CostCurve& curve,
                                     double CostPoint::*cost);  // 3 points or more

// The length from which `second` stays cheaper than `first`: where straight lines between the
// medians cross, in logarithms, and the measured lengths beside it at which their repeats leave no
// doubt.
struct Crossover {
  double tokens = 0, low = 0, high = 0;
  bool from_the_start = false;  // it was cheaper at every length of both
  // At no length was `second` dearer beyond its spread: it may have been cheaper from the start.
  // Then tokens and high are the first length at which it is, beyond its spread, low the first of
  // all.
  bool at_or_before = false;
};
// Nothing where `second` is not cheaper beyond its spread at the last length of both: no crossover
// is decided.
std::optional<Crossover> crossover(const CostCurve& first, const CostCurve& second,
                                   double CostPoint::*cost);

// Between which the median of the repeats lies: 95 % by order statistics; fewer than six: all.
struct Spread {
  double low = 0, high = 0;
};
Spread spread_of_median(std::vector<double> values);  // one value or more

}  // namespace metascale
