#include "analysis/fitting/search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>

namespace metascale {
namespace {

constexpr double steepest = 10;    // exponents beyond this are no scaling law
constexpr double negligible = 12;  // ln E stops this far below the smallest ln L: E is then 0
constexpr double grid_exponents[] = {0, 0.5, 1, 1.5, 2};
constexpr double grid_constants[] = {-1, -0.5, 0, 0.5, 1};
constexpr double grid_coefficients[] = {0, 5, 10, 15, 20, 25};

double smallest(std::span<const double> values) {
  return *std::min_element(values.begin(), values.end());
}

std::vector<std::vector<double>> starts_of_two_variables(const Law& law) {
  std::vector<std::vector<double>> starts;
  const auto add = [&](double a, double b, double e, double alpha, double beta) {
    if (law.kind == LawKind::tied)
      starts.push_back({a, b, e, alpha});
    else
      starts.push_back({a, b, e, alpha, beta});
  };
  for (const double a : grid_coefficients)
    for (const double b : grid_coefficients)
      for (const double e : grid_constants)
        for (const double alpha : grid_exponents) {
          if (law.kind == LawKind::tied)
            add(a, b, e, alpha, alpha);
          else
            for (const double beta : grid_exponents) add(a, b, e, alpha, beta);
        }
  return starts;
}

// For each exponent and share of the smallest loss that E is given, the coefficient that passes
// through the first point.
std::vector<std::vector<double>> starts_of_one_variable(const Law& law, const LogTable& table) {
  constexpr double exponents[] = {0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2};
  constexpr double shares[] = {0.05, 0.3, 0.6, 0.8, 0.9, 0.98};
  const double lowest = smallest(table.log_loss);
  std::vector<std::vector<double>> starts;
  for (const double alpha : exponents) {
    if (law.constant < 0) {
      starts.push_back({table.log_loss[0] + alpha * table.log_x[0], alpha});
      continue;
    }
    for (const double share : shares) {
      const double e = lowest + std::log(share);
      const double rest = std::exp(table.log_loss[0]) - std::exp(e);
      starts.push_back({std::log(rest) + alpha * table.log_x[0], e, alpha});
    }
  }
  return starts;
}

void set_places(LogTable& table) {
  const std::size_t variables = std::size_t(table.variables);
  std::map<std::vector<double>, std::size_t> known;
  for (std::size_t i = 0; i < table.points(); ++i) {
    const auto x = table.log_x.begin() + std::ptrdiff_t(i * variables);
    const auto [entry, fresh] =
        known.emplace(std::vector<double>(x, x + table.variables), table.places.size());
    if (fresh) table.places.emplace_back();
    table.places[entry->second].push_back(i);
  }
}

// The residual of one point, and its derivative by ln L'.
double residual_of(Objective objective, double delta, double predicted, double log_loss,
                   double& slope) {
  switch (objective) {
    case Objective::huber_log: return huber_root(predicted - log_loss, delta, &slope);
    case Objective::squared_log: break;
    case Objective::squared: slope = std::exp(predicted); return slope - std::exp(log_loss);
  }
  slope = 1;
  return predicted - log_loss;
}

// Over the points of one place, with residuals r and slopes s: sums of r r, s s and s r.
struct Sums {
  double squares = 0, slope_squares = 0, products = 0;
};

Sums sums_of(Objective objective, double delta, double predicted, const LogTable& table,
             std::span<const std::size_t> members) {
  Sums sums;
  for (const std::size_t i : members) {
    double slope = 1;
    const double residual = residual_of(objective, delta, predicted, table.log_loss[i], slope);
    sums.squares += residual * residual;
    sums.slope_squares += slope * slope;
    sums.products += slope * residual;
  }
  return sums;
}

}  // namespace

LogTable log_table(const Law& law, std::span<const FitPoint> points) {
  LogTable table{law.variables, {}, {}, {}};
  for (const FitPoint& point : points) {
    for (int i = 0; i < law.variables; ++i)
      table.log_x.push_back(std::log(point.x[std::size_t(i)]));
    table.log_loss.push_back(std::log(point.loss));
  }
  set_places(table);
  return table;
}

LogTable log_table_of_cells(const Law& law, std::span<const FitPoint> points) {
  std::map<std::string, std::vector<FitPoint>> cells;
  for (std::size_t i = 0; i < points.size(); ++i)
    cells[points[i].cell.empty() ? std::to_string(i) : points[i].cell].push_back(points[i]);
  LogTable means{law.variables, {}, {}, {}};
  for (const auto& [cell, members] : cells) {
    const LogTable own = log_table(law, members);
    const double count = double(own.points());
    means.log_loss.push_back(std::accumulate(own.log_loss.begin(), own.log_loss.end(), 0.0) /
                             count);
    for (std::size_t i = 0; i < std::size_t(law.variables); ++i) {
      double sum = 0;
      for (std::size_t row = 0; row < own.points(); ++row)
        sum += own.log_x[row * std::size_t(law.variables) + i];
      means.log_x.push_back(sum / count);
    }
  }
  set_places(means);
  return means;
}

LeastSquares problem_of(const Law& law, const LogTable& table, const FitOptions& options) {
  LeastSquares problem;
  for (const auto& members : table.places) problem.residuals += members.size() > 1 ? 2 : 1;
  problem.evaluate = [&law, &table, objective = options.objective, delta = options.huber_delta](
                         std::span<const double> at, double* values, double* jacobian) {
    const std::size_t variables = std::size_t(table.variables), count = law.coefficients();
    const auto scale = [&](double* gradient, double by) {
      for (std::size_t k = 0; gradient != nullptr && k < count; ++k) gradient[k] *= by;
    };
    std::size_t row = 0;
    for (const auto& members : table.places) {
      double* gradient = jacobian != nullptr ? jacobian + row * count : nullptr;
      const double predicted =
          law.log_loss(at, {table.log_x.data() + members[0] * variables, variables}, gradient);
      if (members.size() == 1) {
        double slope = 1;
        values[row++] = residual_of(objective, delta, predicted, table.log_loss[members[0]], slope);
        scale(gradient, slope);
        continue;
      }
      const Sums sums = sums_of(objective, delta, predicted, table, members);
      const double slope = std::sqrt(sums.slope_squares);
      scale(gradient, slope);
      if (gradient != nullptr) std::fill(gradient + count, gradient + 2 * count, 0.0);
      values[row] = sums.products / slope;
      values[row + 1] = std::sqrt(std::max(0.0, sums.squares - values[row] * values[row]));
      row += 2;
    }
  };
  for (std::size_t i = 0; i < law.coefficients(); ++i) {
    const bool logarithm = law.is_logarithm(i);
    // A straight line may rise (optimal sizes over compute do); a law's terms may only fall.
    const double flattest = law.kind == LawKind::loglog ? -steepest : 0;
    problem.lower.push_back(logarithm ? -std::numeric_limits<double>::infinity() : flattest);
    problem.upper.push_back(logarithm ? std::numeric_limits<double>::infinity() : steepest);
  }
  if (law.constant >= 0)
    problem.lower[std::size_t(law.constant)] = smallest(table.log_loss) - negligible;
  return problem;
}

std::vector<std::vector<double>> starts_of(const Law& law, const LogTable& table) {
  return law.variables == 2 ? starts_of_two_variables(law) : starts_of_one_variable(law, table);
}

}  // namespace metascale
