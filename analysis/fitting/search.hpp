// Where a law's search starts and what bounds it; the least-squares problem of a set of points.
#pragma once

#include <span>
#include <vector>

#include "analysis/fit.hpp"
#include "analysis/fitting/minimise.hpp"

namespace metascale {

// ln L and ln x of the points, in the form that the search evaluates fast.
struct LogTable {
  int variables = 1;
  std::vector<double> log_x;     // (points, variables)
  std::vector<double> log_loss;  // (points)
  // The points of each place, a place being one x: seeds of one cell share it, and the law is
  // evaluated once for all of them.
  std::vector<std::vector<std::size_t>> places;

  std::size_t points() const { return log_loss.size(); }
};
LogTable log_table(const Law& law, std::span<const FitPoint> points);
// One point per cell, at the means of its runs: what the rough search from thousands of starts
// needs of a table with many seeds.
LogTable log_table_of_cells(const Law& law, std::span<const FitPoint> points);

// The table must outlive the problem; its log_loss may change meanwhile, its log_x may not. Points
// of one place are two residuals, however many they are: sum of squares, gradient and J'J are those
// of one residual per point.
LeastSquares problem_of(const Law& law, const LogTable& table, const FitOptions& options);

// Two variables: the grid of [Hoffmann et al. 2022, appendix D.3]; one: a grid around the data.
std::vector<std::vector<double>> starts_of(const Law& law, const LogTable& table);

}  // namespace metascale
