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
  bool moved = false;   // away from the start
};

struct MinimiseOptions {
  int iterations = 200;
  double tolerance = 1e-12;  // relative decrease of the objective that ends the search
};

Minimum minimise(const LeastSquares& problem, std::vector<double> start,
                 const MinimiseOptions& options);

// From every start, in parallel; ascending by objective. The first `polished` are searched again with
// many iterations and the finest tolerance.
std::vector<Minimum> minimise_from(const LeastSquares& problem,
                                   std::span<const std::vector<double>> starts, int polished,
                                   int threads);

// sign(r) sqrt(2 Huber_delta(r)): the sum of half its squares is the sum of Huber losses, and it has a
// continuous derivative, so that least squares can minimise it. derivative may be null.
double huber_root(double residual, double delta, double* derivative);

}  // namespace metascale
