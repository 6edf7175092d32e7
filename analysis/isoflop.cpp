#define EIGEN_DONT_PARALLELIZE  // parallel_for shares out the draws

#include "analysis/isoflop.hpp"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "analysis/fitting/draw_counter.hpp"
#include "analysis/fitting/health.hpp"
#include "analysis/paired.hpp"
#include "analysis/support/random.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

constexpr std::size_t fewest_budgets = 4;

struct Point {  // one size at one budget
  double log_parameters, loss;
  double runs;  // seeds that the loss is the mean of
};
struct Profiles {
  std::map<double, std::vector<Point>> budgets;  // by FLOPs, points ascending in N
  double noise = known_seed_deviation;           // relative, of one run
};

// The deviation of single runs, pooled over the sizes that have several; the known one where none
// has.
Profiles group(std::span<const IsoflopPoint> points, const FitOptions& options) {
  std::map<double, std::map<double, std::vector<double>>> losses;
  for (const IsoflopPoint& point : points) {
    for (const double value : {point.flops, point.parameters, point.loss})
      if (!std::isfinite(value) || value <= 0)
        throw Error(concat("an isoFLOP point (C ", point.flops, ", N ", point.parameters, ", loss ",
                           point.loss, ") has a value without logarithm; drop the row or mend it"),
                    ExitCode::bad_input);
    losses[point.flops][point.parameters].push_back(point.loss);
  }
  Profiles profiles;
  double squares = 0, degrees = 0;
  for (const auto& [flops, sizes] : losses)
    for (const auto& [parameters, seeds] : sizes) {
      double mean = 0;
      for (const double loss : seeds) mean += loss / double(seeds.size());
      for (const double loss : seeds) squares += std::pow(loss / mean - 1, 2);
      degrees += double(seeds.size()) - 1;
      profiles.budgets[flops].push_back({std::log(parameters), mean, double(seeds.size())});
    }
  if (options.seed_deviation > 0) profiles.noise = options.seed_deviation;
  if (degrees > 0) profiles.noise = std::sqrt(squares / degrees);
  return profiles;
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

constexpr const char* at_edge =
    "the lowest loss is at the edge: the minimum has points on one side only";

std::string why_refused(const std::vector<Point>& all, std::size_t lowest, double curvature,
                        double minimum) {
  if (!(curvature > 0)) return "the parabola opens downward";
  if (lowest == 0 || lowest + 1 == all.size()) return at_edge;
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
  budget.sizes = near.size();
  if (near.size() < fewest_sizes) {
    budget.problem = fmt::format("fewer than three sizes: {}", near.size());
    return budget;
  }
  const auto [smallest, largest] = std::minmax_element(
      near.begin(), near.end(),
      [](const Point& a, const Point& b) { return a.log_parameters < b.log_parameters; });
  budget.smallest = std::exp(smallest->log_parameters);
  budget.largest = std::exp(largest->log_parameters);
  const Eigen::Vector3d form = parabola(near, centre);
  budget.curvature = form[2];
  const double minimum = centre - form[1] / (2 * form[2]);
  budget.parameters = std::exp(minimum);
  budget.loss = form[0] - form[1] * form[1] / (4 * form[2]);
  budget.problem = why_refused(points, std::size_t(lowest - points.begin()), form[2], minimum);
  return budget;
}

enum class Through { accepted, all };  // minima

// Without the budget `left_out`, if there is one of that number.
IsoflopLine line_through(const std::vector<IsoflopBudget>& budgets, Through which,
                         std::size_t left_out = std::numeric_limits<std::size_t>::max()) {
  double count = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    const IsoflopBudget& budget = budgets[i];
    if (i == left_out || (which == Through::accepted && !budget.problem.empty())) continue;
    if (!(budget.parameters > 0)) continue;  // no parabola at all
    const double a = std::log(budget.flops), b = std::log(budget.parameters);
    ++count, x += a, y += b, xx += a * a, xy += a * b;
  }
  if (count < 2) return {};
  const double slope = (xy - x * y / count) / (xx - x * x / count);
  return {(y - slope * x) / count, slope};
}

std::vector<IsoflopBudget> fit_budgets(const Profiles& profiles, std::size_t nearest) {
  std::vector<IsoflopBudget> fitted;
  for (const auto& [flops, points] : profiles.budgets)
    fitted.push_back(fit_budget(flops, points, nearest));
  return fitted;
}

// N* of a draw as far as it tells. With the lowest loss at the edge, or a parabola that opens
// downward, it tells only on which side of the profile N* lies.
double drawn_optimum(const IsoflopBudget& budget, const std::vector<Point>& points) {
  if (points.size() < fewest_sizes) return std::nan("");
  if (budget.curvature > 0 && budget.problem != at_edge) return budget.parameters;
  return points.front().loss < points.back().loss ? 0 : std::numeric_limits<double>::infinity();
}

struct Drawn {
  IsoflopLine line;
  std::vector<double> optima;  // one per budget
  std::vector<char> refused;
};

Drawn draw_profiles(const Profiles& profiles, const IsoflopOptions& options, std::int64_t draw) {
  CounterRandom random(options.fit.seed, std::uint64_t(draw));
  Profiles drawn = profiles;
  for (auto& [flops, points] : drawn.budgets)
    for (Point& point : points)
      point.loss *= 1 + profiles.noise / std::sqrt(point.runs) * random.normal();
  const std::vector<IsoflopBudget> budgets = fit_budgets(drawn, options.nearest);
  Drawn result{line_through(budgets, Through::accepted), {}, {}};
  for (const IsoflopBudget& budget : budgets) {
    result.optima.push_back(drawn_optimum(budget, drawn.budgets.at(budget.flops)));
    result.refused.push_back(budget.problem.empty() ? 0 : 1);
  }
  return result;
}

void add_intervals(IsoflopFit& fit, const Profiles& profiles, const IsoflopOptions& options) {
  std::vector<Drawn> draws(std::size_t(options.fit.draws));
  DrawCounter counter(options.fit.progress, options.fit.draws);
  parallel_for(options.fit.threads, options.fit.draws, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t draw = begin; draw < end; ++draw) {
      draws[std::size_t(draw)] = draw_profiles(profiles, options, draw);
      counter.count();
    }
  });
  std::vector<double> slopes;
  for (const Drawn& draw : draws) {
    fit.replicates.push_back(draw.line);
    slopes.push_back(draw.line.slope);
  }
  fit.interval = percentile_interval(std::move(slopes), options.fit.confidence);
  for (std::size_t i = 0; i < fit.budgets.size(); ++i) {
    IsoflopBudget& budget = fit.budgets[i];
    std::vector<double> optima;
    for (const Drawn& draw : draws) {
      optima.push_back(draw.optima[i]);
      budget.refused_draws += draw.refused[i] != 0 ? 1.0 / double(draws.size()) : 0;
    }
    if (budget.problem.empty())
      budget.interval = percentile_interval(std::move(optima), options.fit.confidence);
  }
}

double decades_of_accepted(const std::vector<IsoflopBudget>& budgets) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const IsoflopBudget& budget : budgets)
    if (budget.problem.empty())
      low = std::min(low, budget.flops), high = std::max(high, budget.flops);
  return high > 0 ? std::log10(high / low) : 0;
}

// The budget without which the exponent leaves its interval furthest.
void judge_influence(IsoflopFit& fit) {
  double furthest = 0, flops = 0;
  for (std::size_t i = 0; i < fit.budgets.size(); ++i) {
    if (!fit.budgets[i].problem.empty()) continue;
    const double change = line_through(fit.budgets, Through::accepted, i).slope - fit.exponent;
    if (!fit.interval.excludes(fit.exponent + change) || std::abs(change) <= std::abs(furthest))
      continue;
    furthest = change, flops = fit.budgets[i].flops;
  }
  if (furthest != 0)
    fit.problems.push_back(
        fmt::format("one budget decides: without C = {:.3g} the exponent is {:.4g} instead of "
                    "{:.4g}, outside its interval",
                    flops, fit.exponent + furthest, fit.exponent));
}

void judge(IsoflopFit& fit) {
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
  if (const double span = decades_of_accepted(fit.budgets); span < least_decades)
    fit.problems.push_back(
        fmt::format("C spans {:.2f} decades only (at least {})", span, least_decades));
  const auto undefined =
      std::count_if(fit.replicates.begin(), fit.replicates.end(),
                    [](const IsoflopLine& line) { return !std::isfinite(line.slope); });
  const double share = double(undefined) / std::max(1.0, double(fit.replicates.size()));
  if (accepted >= 2 && share > most_refused_draws)
    fit.problems.push_back(fmt::format(
        "in {:.0f} % of the draws fewer than two budgets have a minimum: the exponent's "
        "interval is too narrow",
        100 * share));
  judge_draws(fit.replicates.size(), fit.problems);
  judge_influence(fit);
}

}  // namespace

double merge_budgets(std::span<IsoflopPoint> points) {
  std::vector<IsoflopPoint*> ordered;
  for (IsoflopPoint& point : points)  // fit_isoflop refuses the others
    if (std::isfinite(point.flops) && point.flops > 0) ordered.push_back(&point);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto* a, const auto* b) { return a->flops < b->flops; });
  double widest = 0;
  for (std::size_t begin = 0, end = 0; begin < ordered.size(); begin = end) {
    const double cheapest = ordered[begin]->flops;
    double logarithms = 0;
    for (; end < ordered.size() && is_of_budget(ordered[end]->flops, cheapest); ++end)
      logarithms += std::log(ordered[end]->flops);
    const double spread = ordered[end - 1]->flops / cheapest - 1;
    if (spread == 0) continue;
    widest = std::max(widest, spread);
    for (std::size_t i = begin; i < end; ++i)
      ordered[i]->flops = std::exp(logarithms / double(end - begin));
  }
  return widest;
}

double IsoflopBudget::loss_at(double other) const {
  return loss + curvature * std::pow(std::log(other / parameters), 2);
}

double IsoflopLine::parameters_at(double flops) const {
  return std::exp(intercept + slope * std::log(flops));
}

double IsoflopFit::predict(double flops) const { return coefficient * std::pow(flops, exponent); }

Interval IsoflopFit::predict_interval(double flops, double confidence) const {
  std::vector<double> draws;
  for (const IsoflopLine& line : replicates) draws.push_back(line.parameters_at(flops));
  return percentile_interval(std::move(draws), confidence);
}

IsoflopFit fit_isoflop(std::span<const IsoflopPoint> points, const IsoflopOptions& options) {
  const Profiles profiles = group(points, options.fit);
  IsoflopFit fit;
  fit.budgets = fit_budgets(profiles, options.nearest);
  const IsoflopLine line = line_through(fit.budgets, Through::accepted);
  fit.coefficient = std::exp(line.intercept), fit.exponent = line.slope;
  fit.token_exponent = 1 - line.slope;
  fit.unchecked_exponent = line_through(fit.budgets, Through::all).slope;
  if (options.fit.draws > 0) add_intervals(fit, profiles, options);
  judge(fit);
  return fit;
}

}  // namespace metascale
