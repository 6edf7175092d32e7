#include "analysis/fitting/minimise.hpp"

#include <ceres/ceres.h>

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"

namespace metascale {
namespace {

class Residuals : public ceres::CostFunction {
 public:
  explicit Residuals(const LeastSquares& problem) : problem_(problem) {
    set_num_residuals(problem.residuals);
    mutable_parameter_block_sizes()->push_back(int(problem.lower.size()));
  }
  bool Evaluate(double const* const* parameters, double* residuals,
                double** jacobians) const override {
    problem_.evaluate({parameters[0], problem_.lower.size()}, residuals,
                      jacobians != nullptr ? jacobians[0] : nullptr);
    const auto finite = [](double value) { return std::isfinite(value); };
    const std::size_t rows = std::size_t(problem_.residuals), columns = problem_.lower.size();
    return std::all_of(residuals, residuals + rows, finite) &&
           (jacobians == nullptr ||
            std::all_of(jacobians[0], jacobians[0] + rows * columns, finite));
  }

 private:
  const LeastSquares& problem_;
};

double free_gradient(const LeastSquares& problem, std::span<const double> at) {
  const std::size_t count = at.size();
  std::vector<double> values(std::size_t(problem.residuals));
  std::vector<double> jacobian(values.size() * count);
  problem.evaluate(at, values.data(), jacobian.data());
  double largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double slope = 0;
    for (std::size_t row = 0; row < values.size(); ++row)
      slope += jacobian[row * count + i] * values[row];
    const bool stopped =
        (at[i] <= problem.lower[i] && slope > 0) || (at[i] >= problem.upper[i] && slope < 0);
    if (!stopped) largest = std::max(largest, std::abs(slope));
  }
  return largest;
}

ceres::Solver::Options solver_options(const MinimiseOptions& options) {
  ceres::Solver::Options solver;
  solver.linear_solver_type = ceres::DENSE_QR;
  solver.line_search_interpolation_type = ceres::BISECTION;  // cubics fail loudly on flat stretches
  solver.max_num_iterations = options.iterations;
  solver.function_tolerance = options.tolerance;
  solver.gradient_tolerance = 1e-14;
  solver.parameter_tolerance = 1e-14;
  solver.logging_type = ceres::SILENT;
  solver.num_threads = 1;
  return solver;
}

// A search that never went anywhere ends so; an optimum that happens to lie there is suspect too.
bool lies_on_a_start(std::span<const double> at, std::span<const std::vector<double>> starts) {
  return std::any_of(starts.begin(), starts.end(), [&](const std::vector<double>& start) {
    for (std::size_t i = 0; i < at.size(); ++i)
      if (std::abs(at[i] - start[i]) > 1e-6 * (1 + std::abs(start[i]))) return false;
    return true;
  });
}

}  // namespace

Minimum minimise(const LeastSquares& problem, std::vector<double> start,
                 const MinimiseOptions& options) {
  Minimum minimum;
  for (std::size_t i = 0; i < start.size(); ++i)
    start[i] = std::clamp(start[i], problem.lower[i], problem.upper[i]);
  minimum.at = start;
  ceres::Problem search;
  search.AddResidualBlock(new Residuals(problem), nullptr, minimum.at.data());
  for (int i = 0; i < int(start.size()); ++i) {
    const double lower = problem.lower[std::size_t(i)], upper = problem.upper[std::size_t(i)];
    if (std::isfinite(lower)) search.SetParameterLowerBound(minimum.at.data(), i, lower);
    if (std::isfinite(upper)) search.SetParameterUpperBound(minimum.at.data(), i, upper);
  }
  ceres::Solver::Summary summary;
  ceres::Solve(solver_options(options), &search, &summary);
  if (summary.IsSolutionUsable()) minimum.objective = summary.final_cost;
  minimum.moved = minimum.at != start;
  return minimum;
}

std::vector<Minimum> minimise_from(const LeastSquares& rough, const LeastSquares& problem,
                                   std::span<const std::vector<double>> starts, int polished,
                                   int threads) {
  std::vector<Minimum> minima(starts.size());
  parallel_for(threads, std::int64_t(starts.size()), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::vector<double>& start = starts[std::size_t(i)];
      Minimum& minimum = minima[std::size_t(i)];
      minimum = minimise_nearby(rough, start, {.iterations = 80, .tolerance = 1e-9});
    }
  });
  const auto by_objective = [](const Minimum& a, const Minimum& b) {
    return a.objective < b.objective;
  };
  std::stable_sort(minima.begin(), minima.end(), by_objective);
  const std::int64_t count = std::min<std::int64_t>(polished, std::int64_t(minima.size()));
  parallel_for(threads, count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Minimum& minimum = minima[std::size_t(i)];
      minimum = minimise(problem, minimum.at, {.iterations = 3000, .tolerance = 1e-15});
      minimum.moved = !lies_on_a_start(minimum.at, starts);
      minimum.gradient = free_gradient(problem, minimum.at);
    }
  });
  std::stable_sort(minima.begin(), minima.begin() + count, by_objective);
  return minima;
}

double huber_root(double residual, double delta, double* derivative) {
  const double size = std::abs(residual);
  if (size <= delta) {
    if (derivative != nullptr) *derivative = 1;
    return residual;
  }
  const double root = std::sqrt(2 * delta * size - delta * delta);
  if (derivative != nullptr) *derivative = delta / root;
  return std::copysign(root, residual);
}

}  // namespace metascale
