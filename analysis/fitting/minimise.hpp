// Least squares for the few coefficients of a scaling law, by Ceres' trust region with bounds.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <vector>

namespace metascale {

struct LeastSquares {
  int residuals = 0;
  // Residuals at the coefficients, and if jacobian is not null their derivatives, (residuals,
  // coefficients) row by row. Called from several threads.
  std::function<void(std::span<const double> at, double* values, double* jacobian)> evaluate;
  std::vector<double> lower, upper;  // of each coefficient; +-infinity: none
};

struct Minimum {
  std::vector<double> at;
  double objective = std::numeric_limits<double>::infinity();  // half the sum of squares
  double gradient = 0;  // largest component, of those that no bound stops
  bool moved = false;   // away from every start
};

struct MinimiseOptions {
  int iterations = 200;
  double tolerance = 1e-12;  // relative decrease of the objective that ends the search
};

Minimum minimise(const LeastSquares& problem, std::vector<double> start,
                 const MinimiseOptions& options);

// The same without the cost of setting a search up: for the first rough search from each of
// thousands of starts, and for bootstrap replicates, which start near their minimum.
// Levenberg-Marquardt with projection on the bounds [Nocedal, Wright 2006, 10.3]; `gradient` and
// `moved` are not set.
Minimum minimise_nearby(const LeastSquares& problem, std::vector<double> start,
                        const MinimiseOptions& options);

// From every start, in parallel, for the problem `rough`: the same with fewer residuals, or the
// problem itself. The best `polished` are searched again for `problem` by Ceres, with many
// iterations and the finest tolerance; they come first, ascending by objective, with a gradient.
std::vector<Minimum> minimise_from(const LeastSquares& rough, const LeastSquares& problem,
                                   std::span<const std::vector<double>> starts, int polished,
                                   int threads);

// sign(r) sqrt(2 Huber_delta(r)): the sum of half its squares is the sum of Huber losses, and it
// has a continuous derivative, so that least squares can minimise it. derivative may be null.
double huber_root(double residual, double delta, double* derivative);

}  // namespace metascale
