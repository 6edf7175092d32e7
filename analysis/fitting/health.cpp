#include "analysis/fitting/health.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.hpp"

namespace metascale {
namespace {

constexpr double furthest_extrapolation = 3;  // times the largest fitted x
constexpr double gradient_share = 1e-4;       // of the root of the objective
constexpr double far_beyond_noise = 3;        // times, root mean squares
constexpr std::size_t compared_minima = 10;

double residual_size(const Fit& fit) {  // root mean square, relative
  double squares = 0;
  for (const double residual : fit.residuals) squares += residual * residual;
  return std::sqrt(squares / double(fit.residuals.size()));
}

// Seeds of one place tell nothing of the law's form.
std::size_t places_of(const Fit& fit) {
  std::set<std::vector<double>> places;
  for (const FitPoint& point : fit.points) places.insert(point.x);
  return places.size();
}

void judge_data(const Fit& fit, std::vector<std::string>& problems) {
  const Law& form = law(fit.kind);
  const std::size_t needed =
      fit.kind == LawKind::loglog ? 3 : std::max<std::size_t>(5, form.coefficients() + 2);
  if (const std::size_t places = places_of(fit); places < needed)
    problems.push_back(
        fmt::format("too few points: {}, seeds apart, for {} coefficients (at least {})", places,
                    form.coefficients(), needed));
  for (std::size_t i = 0; i < std::size_t(form.variables); ++i)
    if (const double span = decades(fit.points, i); span < least_decades)
      problems.push_back(fmt::format("{} spans {:.2f} decades only (at least {})",
                                     form.variables == 1 ? "x" : (i == 0 ? "N" : "D"), span,
                                     least_decades));
  judge_cells(fit.cells, "size, length", problems);
  judge_draws(fit.replicates.size(), problems);
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
  if (!small_gradient(fit.gradient, fit.objective))
    problems.push_back(
        fmt::format("the gradient at the optimum is not small ({:.1e})", fit.gradient));
}

// The point without which an exponent leaves its interval furthest, and how many more do so.
void judge_influence(const Fit& fit, std::vector<std::string>& problems) {
  const Law& form = law(fit.kind);
  if (fit.intervals.empty()) return;
  for (std::size_t i = 0; i < form.coefficients(); ++i) {
    if (form.is_logarithm(i)) continue;
    const Influence* worst = nullptr;
    int others = -1;
    for (const Influence& influence : fit.influence) {
      if (!fit.intervals[i].excludes(fit.coefficients[i] + influence.change[i])) continue;
      ++others;
      if (worst == nullptr || std::abs(influence.change[i]) > std::abs(worst->change[i]))
        worst = &influence;
    }
    if (worst == nullptr) continue;
    problems.push_back(fmt::format(
        "one point decides: without {}, {} is {:.4g} instead of {:.4g}, outside its interval{}",
        worst->label, form.names[i], fit.coefficients[i] + worst->change[i], fit.coefficients[i],
        others > 0 ? fmt::format(" (so do {} more)", others) : ""));
  }
}

// Residuals far beyond what runs of one cell differ by are no noise: another form is needed, and
// intervals drawn from the noise are too narrow.
void judge_form(const Fit& fit, std::vector<std::string>& problems) {
  if (residual_size(fit) > far_beyond_noise * fit.noise)
    problems.push_back(
        fmt::format("the law does not describe the points: residuals of {:.2f} %, runs of one cell "
                    "differ by {:.2f} %",
                    100 * residual_size(fit), 100 * fit.noise));
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

void judge_cells(std::int64_t cells, const char* what, std::vector<std::string>& problems) {
  if (cells < reliable_cells)
    problems.push_back(fmt::format("{}: {} cells of ({}), fewer than {}", interval_unreliable,
                                   cells, what, reliable_cells));
}

std::string health_words(const std::vector<std::string>& problems, bool bootstrapped) {
  if (!problems.empty()) return "bad";
  return bootstrapped ? "good" : "good, as far as it is judged without a bootstrap";
}

void judge_draws(std::size_t draws, std::vector<std::string>& problems) {
  if (draws > 0 && draws < std::size_t(fewest_draws))
    problems.push_back(
        fmt::format("{}: {} draws, fewer than {}", interval_unreliable, draws, fewest_draws));
}

std::vector<std::string> grave_problems(const Fit& fit) {
  std::vector<std::string> grave;
  for (const std::string& problem : fit.problems)
    if (!problem.starts_with(interval_unreliable)) grave.push_back(problem);
  return grave;
}

bool small_gradient(double gradient, double objective) {
  return gradient <= 1e-8 || gradient <= gradient_share * std::sqrt(2 * objective);
}

double agreement_of(const std::vector<Minimum>& minima) {
  const std::size_t count = std::min<std::size_t>(compared_minima, minima.size());
  std::size_t agreeing = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bool near = true;
    for (std::size_t k = 0; k < minima[i].at.size(); ++k)
      near = near && std::abs(minima[i].at[k] - minima[0].at[k]) <=
                         0.01 * std::max(0.1, std::abs(minima[0].at[k]));
    agreeing += near ? 1 : 0;
  }
  return double(agreeing) / double(count);
}

void check_points(const Law& form, std::span<const FitPoint> points) {
  std::size_t fitted = 0;
  for (const FitPoint& point : points) {
    if (point.x.size() != std::size_t(form.variables))
      throw Error(concat(point.label, ": the law ", name_of(form.kind), " takes ", form.variables,
                         " variables, the point has ", point.x.size()),
                  ExitCode::bad_input);
    for (const double value : point.x)
      if (!std::isfinite(value) || value <= 0)
        throw Error(
            concat(point.label, ": x = ", value, " has no logarithm; drop the row or mend it"),
            ExitCode::bad_input);
    if (!std::isfinite(point.loss) || point.loss <= 0)
      throw Error(concat(point.label, ": loss = ", point.loss,
                         " has no logarithm; drop the row or mend it"),
                  ExitCode::bad_input);
    fitted += point.held_out ? 0 : 1;
  }
  const std::size_t needed = std::max<std::size_t>(2, form.coefficients());
  if (fitted < needed)
    throw Error(concat("a fit of ", name_of(form.kind), " needs ", needed,
                       " points, and there are ", fitted, " to fit"),
                ExitCode::bad_input);
}

std::vector<FitPoint> fitted_points(std::span<const FitPoint> points) {
  std::vector<FitPoint> fitted;
  std::copy_if(points.begin(), points.end(), std::back_inserter(fitted),
               [](const FitPoint& point) { return !point.held_out; });
  return fitted;
}

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
  judge_form(fit, problems);
  judge_influence(fit, problems);
  judge_extrapolation(fit, problems);
  return problems;
}

}  // namespace metascale
