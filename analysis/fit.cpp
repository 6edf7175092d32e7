#include "analysis/fit.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/fitting/bootstrap.hpp"
#include "analysis/fitting/draw_counter.hpp"
#include "analysis/fitting/health.hpp"
#include "analysis/fitting/minimise.hpp"
#include "analysis/fitting/noise.hpp"
#include "analysis/fitting/search.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

constexpr int polished_starts = 10;
constexpr std::size_t bootstrap_starts = 5;

// `count` of the starts, evenly taken; all with 0.
std::vector<std::vector<double>> some_of(std::vector<std::vector<double>> starts, int count) {
  if (count <= 0 || std::size_t(count) >= starts.size()) return starts;
  std::vector<std::vector<double>> some;
  for (int i = 0; i < count; ++i)
    some.push_back(starts[starts.size() * std::size_t(i) / std::size_t(count)]);
  return some;
}

// The best optima that differ: replicates need not search twice from one place.
std::vector<std::vector<double>> distinct_optima(const std::vector<Minimum>& minima) {
  std::vector<std::vector<double>> optima;
  for (std::size_t i = 0; i < std::min(bootstrap_starts, minima.size()); ++i) {
    const bool known = std::any_of(optima.begin(), optima.end(), [&](const auto& other) {
      double distance = 0;
      for (std::size_t k = 0; k < other.size(); ++k)
        distance = std::max(distance, std::abs(other[k] - minima[i].at[k]));
      return distance < 1e-2;
    });
    if (!known) optima.push_back(minima[i].at);
  }
  return optima;
}

void add_influence(Fit& fit, const FitOptions& options) {
  const Law& form = law(fit.kind);
  if (fit.points.size() <= std::max<std::size_t>(form.coefficients(), 3)) return;
  // Rows that are alike leave the same fit behind.
  std::map<std::pair<std::vector<double>, double>, std::size_t> distinct;
  for (std::size_t i = 0; i < fit.points.size(); ++i)
    distinct.try_emplace({fit.points[i].x, fit.points[i].loss}, i);
  if (distinct.size() > most_influences) {
    fit.no_influence = concat("the influence of single rows was left out: ", distinct.size(),
                              " distinct rows, more than ", most_influences);
    return;
  }
  std::vector<std::size_t> numbers;
  for (const auto& [row, number] : distinct) numbers.push_back(number);
  DrawCounter counter(options.influence_progress, int(numbers.size()));
  fit.influence.resize(fit.points.size());
  const auto leave_out = [&](std::size_t number) {
    std::vector<FitPoint> others = fit.points;
    others.erase(others.begin() + std::ptrdiff_t(number));
    const LogTable table = log_table(form, others);
    const Minimum minimum = minimise(problem_of(form, table, options), fit.inside,
                                     {.iterations = 1000, .tolerance = 1e-13});
    Influence& influence = fit.influence[number];
    influence = {fit.points[number].label, form.as_known(minimum.at)};
    for (std::size_t i = 0; i < influence.change.size(); ++i)
      influence.change[i] -= fit.coefficients[i];
  };
  parallel_for(options.threads, std::int64_t(numbers.size()),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   leave_out(numbers[std::size_t(i)]), counter.count();
               });
  for (std::size_t i = 0; i < fit.points.size(); ++i) {
    const std::size_t like = distinct.at({fit.points[i].x, fit.points[i].loss});
    fit.influence[i] = {fit.points[i].label, fit.influence[like].change};
  }
}

void add_intervals(Fit& fit, double confidence) {
  const Law& form = law(fit.kind);
  for (std::size_t i = 0; i < form.coefficients(); ++i) {
    std::vector<double> draws;
    for (const auto& replicate : fit.replicates)
      draws.push_back(form.is_logarithm(i) ? std::exp(replicate[i]) : replicate[i]);
    fit.intervals.push_back(percentile_interval(std::move(draws), confidence));
  }
}

void add_held_out(Fit& fit, std::span<const FitPoint> points, double confidence) {
  for (const FitPoint& point : points)
    if (point.held_out)
      fit.held_out.push_back({point.label, point.x, point.loss, fit.predict(point.x),
                              fit.predict_interval(point.x, confidence)});
}

}  // namespace

Interval Fit::predict_interval(std::span<const double> x, double confidence) const {
  std::vector<double> draws;
  for (const auto& replicate : replicates) draws.push_back(law(kind).loss(replicate, x));
  return percentile_interval(std::move(draws), confidence);
}

std::vector<double> twice_the_largest(std::span<const FitPoint> points) {
  std::vector<double> x(points.empty() ? 0 : points.front().x.size());
  for (const FitPoint& point : points)
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::max(x[i], 2 * point.x[i]);
  return x;
}

Prediction predict_ahead(const Fit& fit, double confidence) {
  const std::vector<double> x = twice_the_largest(fit.points);
  return {x, fit.predict(x), fit.predict_interval(x, confidence)};
}

Fit fit_law(LawKind kind, std::span<const FitPoint> points, const FitOptions& options) {
  const Law& form = law(kind);
  check_points(form, points);
  Fit fit;
  fit.kind = kind;
  fit.objective_kind = options.objective;
  fit.points = fitted_points(points);
  const LogTable table = log_table(form, fit.points);
  const LeastSquares problem = problem_of(form, table, options);
  const LogTable cells = log_table_of_cells(form, fit.points);
  fit.cells = std::int64_t(cells.log_loss.size());
  fit.noise = noise_of(fit.points, table, options).deviation();
  const std::vector<Minimum> minima = minimise_from(problem_of(form, cells, options), problem,
                                                    some_of(starts_of(form, table), options.starts),
                                                    polished_starts, options.threads);
  if (!std::isfinite(minima.front().objective))
    throw Error(concat("the fit of ", name_of(kind), " found no finite objective from any start"),
                ExitCode::bad_input);
  fit.inside = minima.front().at;
  fit.coefficients = form.as_known(fit.inside);
  fit.objective = minima.front().objective, fit.gradient = minima.front().gradient;
  fit.agreement = agreement_of(minima);
  for (const FitPoint& point : fit.points) {
    fit.residuals.push_back(fit.predict(point.x) / point.loss - 1);
    fit.worst_residual = std::max(fit.worst_residual, std::abs(fit.residuals.back()));
  }
  if (options.draws > 0) {
    add_replicates(fit, table, distinct_optima(minima), options);
    add_intervals(fit, options.confidence);
  }
  if (options.influence) add_influence(fit, options);
  add_held_out(fit, points, options.confidence);
  fit.problems = fit_problems(fit, problem, minima);
  return fit;
}

Objective default_objective(LawKind kind) {
  return kind == LawKind::loglog ? Objective::squared_log : Objective::huber_log;
}

LawKind law_for(std::span<const FitPoint> points) {
  const std::vector<FitPoint> fitted = fitted_points(points);
  const auto cells = [&] {
    std::vector<double> values;
    for (const FitPoint& point : fitted) values.push_back(point.x[0]);
    std::sort(values.begin(), values.end());
    return std::unique(values.begin(), values.end()) - values.begin();
  }();
  return cells >= 5 && decades(fitted, 0) >= 1.5 ? LawKind::power : LawKind::loglog;
}

Allocation allocate(const Fit& fit, double flops) {
  const Law& form = law(fit.kind);
  if (form.variables != 2)
    throw Error(concat("the law ", name_of(fit.kind),
                       " has one variable: it allocates nothing; fit ", "chinchilla or tied"),
                ExitCode::usage);
  const double alpha = fit.inside[std::size_t(form.terms[0].exponent)];
  const double beta = fit.inside[std::size_t(form.terms[1].exponent)];
  const double log_ratio = std::log(alpha / beta) +
                           fit.inside[std::size_t(form.terms[0].coefficient)] -
                           fit.inside[std::size_t(form.terms[1].coefficient)];
  const double budget = flops / 6;
  Allocation best;
  best.parameters = std::exp((log_ratio + beta * std::log(budget)) / (alpha + beta));
  best.tokens = budget / best.parameters;
  best.parameters_exponent = beta / (alpha + beta);
  return best;
}

double largest_flops(const Fit& fit) {
  double largest = 0;
  for (const FitPoint& point : fit.points)
    if (point.x.size() == 2) largest = std::max(largest, 6 * point.x[0] * point.x[1]);
  return largest;
}

}  // namespace metascale
