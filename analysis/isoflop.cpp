#include "analysis/isoflop.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "analysis/paired.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::size_t fewest_budgets = 4;

struct Point {
  double log_parameters, loss;
};
using Budgets = std::map<double, std::vector<Point>>;  // by FLOPs, points ascending in N

Budgets group(std::span<const IsoflopPoint> points) {
  Budgets budgets;
  for (const IsoflopPoint& point : points) {
    for (const double value : {point.flops, point.parameters, point.loss})
      if (!std::isfinite(value) || value <= 0)
        throw Error(concat("an isoFLOP point (C ", point.flops, ", N ", point.parameters, ", loss ",
                           point.loss, ") has a value without logarithm; drop the row or mend it"),
                    ExitCode::bad_input);
    budgets[point.flops].push_back({std::log(point.parameters), point.loss});
  }
  for (auto& [flops, members] : budgets)
    std::sort(members.begin(), members.end(),
              [](const Point& a, const Point& b) { return a.log_parameters < b.log_parameters; });
  return budgets;
}

std::vector<Point> nearest_points(const std::vector<Point>& points, double centre,
                                  std::size_t count) {
  if (count == 0 || count >= points.size()) return points;
  std::vector<Point> near = points;
  std::stable_sort(near.begin(), near.end(), [&](const Point& a, const Point& b) {
    return std::abs(a.log_parameters - centre) < std::abs(b.log_parameters - centre);
  });
  near.resize(count);
  return near;
}

// Least squares through the points, centred at `centre` for the sake of its digits.
Eigen::Vector3d parabola(const std::vector<Point>& points, double centre) {
  Eigen::MatrixXd powers(Eigen::Index(points.size()), 3);
  Eigen::VectorXd losses(Eigen::Index(points.size()));
  for (Eigen::Index i = 0; i < losses.size(); ++i) {
    const double x = points[std::size_t(i)].log_parameters - centre;
    powers.row(i) << 1, x, x * x;
    losses[i] = points[std::size_t(i)].loss;
  }
  return powers.colPivHouseholderQr().solve(losses);
}

std::string why_refused(const std::vector<Point>& all, std::size_t lowest, double curvature,
                        double minimum) {
  if (!(curvature > 0)) return "the parabola opens downward";
  if (lowest == 0 || lowest + 1 == all.size())
    return "the lowest loss is at the edge: the minimum has points on one side only";
  if (minimum <= all[lowest - 1].log_parameters || minimum >= all[lowest + 1].log_parameters)
    return "the parabola's minimum lies beyond the neighbours of the lowest point";
  return "";
}

IsoflopBudget fit_budget(double flops, const std::vector<Point>& points, std::size_t nearest) {
  IsoflopBudget budget{flops};
  const auto lowest = std::min_element(points.begin(), points.end(),
                                       [](auto& a, auto& b) { return a.loss < b.loss; });
  const double centre = lowest->log_parameters;
  const std::vector<Point> near = nearest_points(points, centre, nearest);
  budget.points = near.size();
  if (near.size() < 3) {
    budget.problem = "fewer than three points";
    return budget;
  }
  const Eigen::Vector3d form = parabola(near, centre);
  budget.curvature = form[2];
  const double minimum = centre - form[1] / (2 * form[2]);
  budget.parameters = std::exp(minimum);
  budget.loss = form[0] - form[1] * form[1] / (4 * form[2]);
  budget.problem = why_refused(points, std::size_t(lowest - points.begin()), form[2], minimum);
  return budget;
}

struct Line {
  double intercept = std::numeric_limits<double>::quiet_NaN();
  double slope = std::numeric_limits<double>::quiet_NaN();
};
Line line_through(const std::vector<IsoflopBudget>& budgets, bool refused_too = false) {
  double count = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const IsoflopBudget& budget : budgets) {
    if (!refused_too && !budget.problem.empty()) continue;
    if (!(budget.parameters > 0)) continue;  // no parabola at all
    const double a = std::log(budget.flops), b = std::log(budget.parameters);
    ++count, x += a, y += b, xx += a * a, xy += a * b;
  }
  if (count < 2) return {};
  const double slope = (xy - x * y / count) / (xx - x * x / count);
  return {(y - slope * x) / count, slope};
}

std::vector<IsoflopBudget> fit_budgets(const Budgets& budgets, std::size_t nearest) {
  std::vector<IsoflopBudget> fitted;
  for (const auto& [flops, points] : budgets) fitted.push_back(fit_budget(flops, points, nearest));
  return fitted;
}

Interval exponent_interval(const Budgets& budgets, const IsoflopOptions& options) {
  const double noise =
      options.fit.seed_deviation > 0 ? options.fit.seed_deviation : known_seed_deviation;
  std::vector<double> draws;
  for (int draw = 0; draw < options.fit.draws; ++draw) {
    CounterRandom random(options.fit.seed, std::uint64_t(draw));
    Budgets drawn = budgets;
    for (auto& [flops, points] : drawn)
      for (Point& point : points) point.loss *= 1 + noise * random.normal();
    draws.push_back(line_through(fit_budgets(drawn, options.nearest)).slope);
  }
  return percentile_interval(std::move(draws), options.fit.confidence);
}

}  // namespace

IsoflopFit fit_isoflop(std::span<const IsoflopPoint> points, const IsoflopOptions& options) {
  const Budgets budgets = group(points);
  IsoflopFit fit;
  fit.budgets = fit_budgets(budgets, options.nearest);
  const Line line = line_through(fit.budgets);
  fit.coefficient = std::exp(line.intercept), fit.exponent = line.slope;
  fit.token_exponent = 1 - line.slope;
  fit.unchecked_exponent = line_through(fit.budgets, true).slope;
  if (options.fit.draws > 0) fit.interval = exponent_interval(budgets, options);
  std::size_t accepted = 0;
  for (const IsoflopBudget& budget : fit.budgets) {
    if (budget.problem.empty())
      ++accepted;
    else
      fit.problems.push_back(fmt::format("C = {:.3g}: {}", budget.flops, budget.problem));
  }
  if (accepted < fewest_budgets)
    fit.problems.push_back(
        fmt::format("too few budgets with a minimum: {} (at least {})", accepted, fewest_budgets));
  return fit;
}

}  // namespace metascale
