#include "analysis/fitting/health.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace metascale {
namespace {

constexpr double least_decades = 1.5;
constexpr std::int64_t reliable_cells = 8;
constexpr double furthest_extrapolation = 3;  // times the largest fitted x
constexpr double small_gradient = 1e-4;       // relative to the root of the objective

void judge_data(const Fit& fit, std::vector<std::string>& problems) {
  const Law& form = law(fit.kind);
  const std::size_t needed =
      fit.kind == LawKind::loglog ? 3 : std::max<std::size_t>(5, form.coefficients() + 2);
  if (fit.points.size() < needed)
    problems.push_back(fmt::format("too few points: {} for {} coefficients (at least {})",
                                   fit.points.size(), form.coefficients(), needed));
  for (std::size_t i = 0; i < std::size_t(form.variables); ++i)
    if (const double span = decades(fit.points, i); span < least_decades)
      problems.push_back(fmt::format("{} spans {:.2f} decades only (at least {})",
                                     form.variables == 1 ? "x" : (i == 0 ? "N" : "D"), span,
                                     least_decades));
  if (!fit.replicates.empty() && fit.cells < reliable_cells)
    problems.push_back(fmt::format("interval unreliable: {} cells of (size, length), fewer than {}",
                                   fit.cells, reliable_cells));
}

void judge_search(const Fit& fit, const LeastSquares& problem, const std::vector<Minimum>& minima,
                  std::vector<std::string>& problems) {
  const Law& form = law(fit.kind);
  if (!minima.front().moved) problems.push_back("the optimum equals its start: nothing was fitted");
  for (std::size_t i = 0; i < form.coefficients(); ++i) {
    const double value = fit.inside[i];
    if (value <= problem.lower[i] + 1e-6 || value >= problem.upper[i] - 1e-6)
      problems.push_back(
          fmt::format("{} sits on a bound ({:.4g})", form.names[i], fit.coefficients[i]));
  }
  if (fit.agreement < 0.5)
    problems.push_back(fmt::format("the best starts disagree: {:.0f} % of ten end at one optimum",
                                   100 * fit.agreement));
  if (fit.gradient > 1e-8 && fit.gradient > small_gradient * std::sqrt(2 * fit.objective))
    problems.push_back(
        fmt::format("the gradient at the optimum is not small ({:.1e})", fit.gradient));
}

void judge_influence(const Fit& fit, std::vector<std::string>& problems) {
  const Law& form = law(fit.kind);
  if (fit.intervals.empty()) return;
  for (const Influence& influence : fit.influence)
    for (std::size_t i = 0; i < form.coefficients(); ++i)
      if (!form.is_logarithm(i) &&
          fit.intervals[i].excludes(fit.coefficients[i] + influence.change[i]))
        problems.push_back(fmt::format(
            "one point decides: without {}, {} is {:.4g} instead of {:.4g}, outside its interval",
            influence.label, form.names[i], fit.coefficients[i] + influence.change[i],
            fit.coefficients[i]));
}

void judge_extrapolation(const Fit& fit, std::vector<std::string>& problems) {
  for (const HeldOut& point : fit.held_out)
    for (std::size_t i = 0; i < point.x.size(); ++i) {
      double largest = 0;
      for (const FitPoint& fitted : fit.points) largest = std::max(largest, fitted.x[i]);
      if (point.x[i] > furthest_extrapolation * largest)
        problems.push_back(fmt::format("{} is predicted at {:.1f} times the largest fitted {}",
                                       point.label, point.x[i] / largest,
                                       point.x.size() == 1 ? "x" : (i == 0 ? "N" : "D")));
    }
}

}  // namespace

double decades(std::span<const FitPoint> points, std::size_t variable) {
  if (points.empty()) return 0;
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(),
      [&](const FitPoint& a, const FitPoint& b) { return a.x[variable] < b.x[variable]; });
  return std::log10(high->x[variable] / low->x[variable]);
}

std::vector<std::string> fit_problems(const Fit& fit, const LeastSquares& problem,
                                      const std::vector<Minimum>& minima) {
  std::vector<std::string> problems;
  judge_data(fit, problems);
  judge_search(fit, problem, minima, problems);
  judge_influence(fit, problems);
  judge_extrapolation(fit, problems);
  return problems;
}

}  // namespace metascale
