// Fits of scaling laws with intervals by bootstrap, and a verdict on whether to trust them
// [docs/analysis.md, "Fits"].
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "analysis/interval.hpp"
#include "analysis/law.hpp"

namespace metascale {

struct FitPoint {
  std::string label;      // run id, or the row of a table
  std::string cell;       // runs of one (size, length) differ by their seed only; empty: its own
  std::vector<double> x;  // N or C or D; N and D for the laws of two variables
  double loss = 0;        // nats per token, or whatever is to be fitted; > 0
  bool held_out = false;  // predicted, not fitted
};

enum class Objective {
  huber_log,    // sum of Huber(ln L' - ln L), delta 1e-3
  squared_log,  // half the sum of squares of ln L' - ln L
  squared       // half the sum of squares of L' - L
};

struct FitOptions {
  Objective objective = Objective::huber_log;
  int draws = 2000;  // of the bootstrap; 0: none
  std::uint64_t seed = 20250411;
  double confidence = 0.95;
  int threads = 1;
  double huber_delta = 1e-3;
  double seed_deviation =
      0;                  // relative, of one run; 0: known_seed_deviation. One run per cell only.
  bool influence = true;  // refits without each point in turn
  int starts = 0;         // of the law's grid, evenly taken; 0: all of them
  // Of draws, and of refits without one row; called by one thread at a time; may be empty.
  std::function<void(int done, int of)> progress, influence_progress;
};

struct Influence {
  std::string label;
  std::vector<double> change;  // of each coefficient when this point is left out
};

struct HeldOut {
  std::string label;
  std::vector<double> x;
  double measured = 0, predicted = 0;
  Interval interval;  // of the prediction
  double error() const { return predicted / measured - 1; }
};

// Each costs a fit to all the others: with more it is left out.
inline constexpr std::size_t most_influences = 256;  // distinct rows

// Of a bootstrap: with fewer no draw lies beyond an end of a 95 % interval.
inline constexpr int fewest_draws = 40;

struct Fit {
  LawKind kind = LawKind::loglog;
  Objective objective_kind = Objective::huber_log;
  std::vector<double> inside;        // coefficients as Law::log_loss takes them
  std::vector<double> coefficients;  // as people know them, in the order of Law::names
  std::vector<Interval> intervals;   // of the coefficients; empty without bootstrap
  double objective = 0;
  std::vector<FitPoint> points;   // those fitted
  std::vector<double> residuals;  // relative, L' / L - 1, one per point
  double worst_residual = 0;      // largest |residual|
  std::vector<HeldOut> held_out;
  std::vector<Influence> influence;
  std::string no_influence;  // why it was left out though it was asked for; empty: it was not
  std::vector<std::vector<double>> replicates;  // inside coefficients of each bootstrap draw
  bool parametric_bootstrap = false;            // one run per cell: known seed noise was drawn
  double noise = 0;  // relative deviation of one run: what draws take, and residuals are held to
  std::int64_t cells = 0;
  double agreement = 0;               // share of the ten best starts that found the optimum
  double gradient = 0;                // largest free component at the optimum
  std::vector<std::string> problems;  // fit health: empty is good

  bool healthy() const { return problems.empty(); }
  double predict(std::span<const double> x) const { return law(kind).loss(inside, x); }
  Interval predict_interval(std::span<const double> x, double confidence = 0.95) const;
};

// What a law says at twice the largest fitted x, in N and in D: to be read before its coefficients,
// which are nearly collinear.
struct Prediction {
  std::vector<double> x;
  double value = 0;
  Interval interval;  // unknown without bootstrap
};
Prediction predict_ahead(const Fit& fit, double confidence = 0.95);
std::vector<double> twice_the_largest(std::span<const FitPoint> points);

// Throws Error{bad_input} if a value is not positive and finite, or if there are fewer points than
// two (loglog) or than the law's coefficients.
Fit fit_law(LawKind kind, std::span<const FitPoint> points, const FitOptions& options = {});

// Squares for a straight line: where it misfits by more than delta, Huber losses have no unique
// minimum. Huber losses for all else.
Objective default_objective(LawKind kind);

// power where at least 5 points span 1.5 decades of x, loglog otherwise.
LawKind law_for(std::span<const FitPoint> points);

// Compute-optimal parameters and tokens of a chinchilla or tied fit at C FLOPs, with C = 6 N D.
struct Allocation {
  double parameters = 0, tokens = 0;
  double parameters_exponent = 0;  // N* grows as C to this power, D* as C to 1 less it
};
Allocation allocate(const Fit& fit, double flops);
double largest_flops(const Fit& fit);  // 6 N D of the fitted points

}  // namespace metascale
