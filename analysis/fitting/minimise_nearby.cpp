#define EIGEN_DONT_PARALLELIZE  // parallel_for shares out the draws

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "analysis/fitting/minimise.hpp"

namespace metascale {
namespace {

constexpr int most = 7;  // coefficients: the joint law of two arms has as many
using Vector = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, most, 1>;
using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, most, most>;
using Jacobian = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

double objective_at(const LeastSquares& problem, const Vector& at, Eigen::VectorXd& residuals,
                    Jacobian& jacobian) {
  problem.evaluate({at.data(), std::size_t(at.size())}, residuals.data(), jacobian.data());
  const double value = 0.5 * residuals.squaredNorm();
  return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

// The damped step; a coefficient that a bound stops stays where it is.
Vector step_from(const LeastSquares& problem, const Vector& at, Square normal, Vector slope,
                 double damping) {
  for (int i = 0; i < int(at.size()); ++i) {
    const bool stopped = (at[i] <= problem.lower[std::size_t(i)] && slope[i] > 0) ||
                         (at[i] >= problem.upper[std::size_t(i)] && slope[i] < 0);
    if (stopped) {
      normal.row(i).setZero(), normal.col(i).setZero();
      slope[i] = 0, normal(i, i) = 1;
    }
    normal(i, i) += damping * std::max(normal(i, i), 1e-12);
  }
  return normal.ldlt().solve(-slope);
}

}  // namespace

Minimum minimise_nearby(const LeastSquares& problem, std::vector<double> start,
                        const MinimiseOptions& options) {
  const int count = int(start.size());
  Vector at = Eigen::Map<const Eigen::VectorXd>(start.data(), count);
  const Eigen::Map<const Eigen::VectorXd> lower(problem.lower.data(), count);
  const Eigen::Map<const Eigen::VectorXd> upper(problem.upper.data(), count);
  Eigen::VectorXd residuals(problem.residuals), tried(problem.residuals);
  Jacobian jacobian(problem.residuals, count), there(problem.residuals, count);
  at = at.cwiseMax(lower).cwiseMin(upper);
  double objective = objective_at(problem, at, residuals, jacobian), damping = 1e-3;
  Square normal(count, count);
  Vector slope(count);
  bool moved = true;
  for (int iteration = 0; iteration < options.iterations && damping < 1e12; ++iteration) {
    if (moved) {
      normal.noalias() = jacobian.transpose().lazyProduct(jacobian);
      slope.noalias() = jacobian.transpose().lazyProduct(residuals);
    }
    const Vector next =
        (at + step_from(problem, at, normal, slope, damping)).cwiseMax(lower).cwiseMin(upper);
    const double lower_objective = objective_at(problem, next, tried, there);
    moved = lower_objective < objective;
    if (!moved) {
      damping *= 8;
      continue;
    }
    const bool settled = objective - lower_objective < options.tolerance * objective;
    at = next, damping = std::max(damping / 5, 1e-12);
    objective = lower_objective, residuals.swap(tried), jacobian.swap(there);
    if (settled) break;
  }
  Minimum minimum;
  minimum.at.assign(at.data(), at.data() + count);
  minimum.objective = objective;
  return minimum;
}

}  // namespace metascale
