#include "analysis/joint_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/fitting/draw_counter.hpp"
#include "analysis/fitting/health.hpp"
#include "analysis/fitting/minimise.hpp"
#include "analysis/fitting/noise.hpp"
#include "analysis/fitting/search.hpp"
#include "core/parallel.hpp"

namespace metascale {
namespace {

constexpr std::size_t coefficients = 7, of_one_arm = 5;
constexpr int polished_starts = 10, most_tables = 500;
constexpr double suspicious = 0.05;  // p-values below this: the arms do not share a law

// Where the chinchilla law's (a, b, e, alpha, beta) of an arm stand among the joint coefficients.
constexpr std::array<std::array<std::size_t, of_one_arm>, 2> places{
    {{0, 1, 4, 5, 6}, {2, 3, 4, 5, 6}}};

struct Tables {  // one per arm
  std::array<LogTable, 2> arms;
};

LeastSquares joint_problem(const Tables& tables, const FitOptions& options) {
  const Law& form = law(LawKind::chinchilla);
  std::array<LeastSquares, 2> alone{problem_of(form, tables.arms[0], options),
                                    problem_of(form, tables.arms[1], options)};
  LeastSquares problem;
  problem.residuals = alone[0].residuals + alone[1].residuals;
  const double none = std::numeric_limits<double>::infinity();
  problem.lower = {-none, -none, -none, -none, std::min(alone[0].lower[2], alone[1].lower[2]),
                   0,     0};
  problem.upper = {none, none, none, none, none, alone[0].upper[3], alone[0].upper[4]};
  problem.evaluate = [alone = std::move(alone)](std::span<const double> at, double* values,
                                                double* jacobian) {
    std::array<double, of_one_arm> own{};
    std::vector<double> slopes;
    std::size_t row = 0;
    for (std::size_t arm = 0; arm < 2; ++arm) {
      const std::size_t rows = std::size_t(alone[arm].residuals);
      for (std::size_t i = 0; i < of_one_arm; ++i) own[i] = at[places[arm][i]];
      slopes.assign(rows * of_one_arm, 0);
      alone[arm].evaluate(own, values + row, jacobian != nullptr ? slopes.data() : nullptr);
      for (std::size_t i = 0; jacobian != nullptr && i < rows; ++i) {
        double* line = jacobian + (row + i) * coefficients;
        std::fill(line, line + coefficients, 0.0);
        for (std::size_t k = 0; k < of_one_arm; ++k)
          line[places[arm][k]] = slopes[i * of_one_arm + k];
      }
      row += rows;
    }
  };
  return problem;
}

// The grid of one arm, both arms alike.
std::vector<std::vector<double>> joint_starts(const LogTable& table, int count) {
  std::vector<std::vector<double>> starts;
  const auto grid = starts_of(law(LawKind::chinchilla), table);
  const std::size_t step =
      count > 0 && std::size_t(count) < grid.size() ? grid.size() / std::size_t(count) : 1;
  for (std::size_t i = 0; i < grid.size(); i += step)
    starts.push_back(
        {grid[i][0], grid[i][1], grid[i][0], grid[i][1], grid[i][2], grid[i][3], grid[i][4]});
  return starts;
}

std::vector<double> known_of(std::span<const double> inside) {
  std::vector<double> known(inside.begin(), inside.end());
  for (std::size_t i = 0; i < 5; ++i) known[i] = std::exp(known[i]);
  return known;
}

constexpr MinimiseOptions near{.iterations = 300, .tolerance = 1e-11};

// Objective of the two arms alone, each searched from its share of the joint optimum.
double separate_objective(const Tables& tables, std::span<const double> joint,
                          const FitOptions& options) {
  double sum = 0;
  for (std::size_t arm = 0; arm < 2; ++arm) {
    std::vector<double> start;
    for (const std::size_t place : places[arm]) start.push_back(joint[place]);
    sum += minimise_nearby(problem_of(law(LawKind::chinchilla), tables.arms[arm], options), start,
                           near)
               .objective;
  }
  return sum;
}

struct Draws {
  std::array<Noise, 2> noise;
  std::array<std::uint64_t, 2> streams{0x10000000u, 0x20000000u};  // arms' noise is independent

  void draw(const FitOptions& options, std::int64_t number, Tables& tables) const {
    for (std::size_t arm = 0; arm < 2; ++arm)
      draw_losses(noise[arm], CounterRandom(options.seed, streams[arm] + std::uint64_t(number)),
                  tables.arms[arm].log_loss);
  }
};

std::vector<double> of_arm(std::span<const double> joint, std::size_t arm) {
  std::vector<double> own;
  for (const std::size_t place : places[arm]) own.push_back(joint[place]);
  return own;
}

void add_intervals(JointFit& fit, const Tables& tables, const Draws& draws,
                   const FitOptions& options, DrawCounter& counter) {
  std::vector<std::vector<double>> replicates(std::size_t(options.draws));
  parallel_for(options.threads, options.draws, [&](std::int64_t begin, std::int64_t end) {
    Tables drawn = tables;
    const LeastSquares problem = joint_problem(drawn, options);
    for (std::int64_t i = begin; i < end; ++i) {
      draws.draw(options, i, drawn);
      replicates[std::size_t(i)] = minimise_nearby(problem, fit.inside, near).at;
      counter.count();
    }
  });
  const auto interval_of = [&](const auto& value_of) {
    std::vector<double> values;
    for (const auto& replicate : replicates) values.push_back(value_of(replicate));
    return percentile_interval(std::move(values), options.confidence);
  };
  for (std::size_t k = 0; k < coefficients; ++k)
    fit.intervals.push_back(
        interval_of([&](const auto& replicate) { return known_of(replicate)[k]; }));
  for (std::size_t arm = 0; arm < 2; ++arm)
    fit.ahead[arm].interval = interval_of([&](const auto& at) {
      return law(LawKind::chinchilla).loss(of_arm(at, arm), fit.ahead[arm].x);
    });
  fit.interval_a = interval_of([](const auto& at) { return std::exp(at[2] - at[0]); });
  fit.interval_b = interval_of([](const auto& at) { return std::exp(at[3] - at[1]); });
}

// Tables drawn from the joint law: how often do separate fits win by as much?
double p_value_of(const JointFit& fit, const Tables& tables, Draws draws, const FitOptions& options,
                  DrawCounter& counter) {
  const Law& form = law(LawKind::chinchilla);
  for (std::size_t arm = 0; arm < 2; ++arm) {
    const std::vector<double> own = of_arm(fit.inside, arm);
    for (std::size_t i = 0; i < tables.arms[arm].points(); ++i)
      draws.noise[arm].centre[i] =
          form.log_loss(own, {tables.arms[arm].log_x.data() + 2 * i, 2}, nullptr);
    draws.streams[arm] += 0x40000000u;  // apart from the intervals' draws
  }
  const double won = fit.objective - fit.separate_objective;
  const int count = std::min(options.draws, most_tables);
  std::vector<char> as_much(std::size_t(count), 0);
  parallel_for(options.threads, count, [&](std::int64_t begin, std::int64_t end) {
    Tables drawn = tables;
    const LeastSquares problem = joint_problem(drawn, options);
    for (std::int64_t i = begin; i < end; ++i) {
      draws.draw(options, i, drawn);
      const Minimum joint = minimise_nearby(problem, fit.inside, near);
      as_much[std::size_t(i)] =
          joint.objective - separate_objective(drawn, joint.at, options) >= won ? 1 : 0;
      counter.count();
    }
  });
  return (1 + std::accumulate(as_much.begin(), as_much.end(), 0.0)) / double(count + 1);
}

void judge(JointFit& fit, std::span<const FitPoint> all, const LeastSquares& problem,
           const Minimum& best, int draws) {
  const auto add = [&](std::string text) { fit.problems.push_back(std::move(text)); };
  if (!best.moved) add("the optimum equals its start: nothing was fitted");
  for (std::size_t i = 0; i < coefficients; ++i)
    if (best.at[i] <= problem.lower[i] + 1e-6 || best.at[i] >= problem.upper[i] - 1e-6)
      add(fmt::format("{} sits on a bound ({:.4g})", JointFit::names[i], fit.coefficients[i]));
  if (fit.agreement < 0.5)
    add(fmt::format("the best starts disagree: {:.0f} % of ten end at one optimum",
                    100 * fit.agreement));
  if (!small_gradient(best.gradient, best.objective))
    add(fmt::format("the gradient at the optimum is not small ({:.1e})", best.gradient));
  for (std::size_t i = 0; i < 2; ++i)
    if (const double span = decades(all, i); span < least_decades)
      add(fmt::format("{} spans {:.2f} decades only (at least {})", i == 0 ? "N" : "D", span,
                      least_decades));
  judge_cells(fit.cells, "arm, size, length", fit.problems);
  judge_draws(std::size_t(std::max(draws, 0)), fit.problems);
  if (fit.p_value < suspicious)
    add(
        fmt::format("the arms do not share one law: separate fits win more than chance gives "
                    "(p = {:.3f})",
                    fit.p_value));
}

}  // namespace

double JointFit::predict(std::size_t arm, std::span<const double> x) const {
  return law(LawKind::chinchilla).loss(of_arm(inside, arm), x);
}

JointFit fit_jointly(std::span<const FitPoint> first, std::span<const FitPoint> second,
                     const FitOptions& options) {
  const Law& form = law(LawKind::chinchilla);
  check_points(form, first), check_points(form, second);
  std::array<std::vector<FitPoint>, 2> arms{fitted_points(first), fitted_points(second)};
  const Tables tables{{log_table(form, arms[0]), log_table(form, arms[1])}};
  std::vector<FitPoint> all = arms[0];
  all.insert(all.end(), arms[1].begin(), arms[1].end());
  const LeastSquares problem = joint_problem(tables, options);
  const Tables cells{{log_table_of_cells(form, arms[0]), log_table_of_cells(form, arms[1])}};
  const std::vector<Minimum> minima =
      minimise_from(joint_problem(cells, options), problem,
                    joint_starts(cells.arms[0], options.starts), polished_starts, options.threads);
  const Minimum& best = minima.front();
  JointFit fit;
  fit.inside = best.at, fit.coefficients = known_of(best.at), fit.objective = best.objective;
  fit.ratio_a = std::exp(best.at[2] - best.at[0]), fit.ratio_b = std::exp(best.at[3] - best.at[1]);
  fit.agreement = agreement_of(minima);
  fit.separate_objective = separate_objective(tables, best.at, options);
  fit.points = std::int64_t(all.size());
  fit.points_of_arm = arms;
  const Draws draws{
      {noise_of(arms[0], tables.arms[0], options), noise_of(arms[1], tables.arms[1], options)}};
  fit.cells = draws.noise[0].cells + draws.noise[1].cells;
  for (std::size_t arm = 0; arm < 2; ++arm) {
    const std::vector<double> own = of_arm(best.at, arm), ahead = twice_the_largest(all);
    fit.ahead[arm] = {ahead, form.loss(own, ahead), {}};
    for (const FitPoint& point : arms[arm])
      fit.worst_residual =
          std::max(fit.worst_residual, std::abs(form.loss(own, point.x) / point.loss - 1));
  }
  fit.p_value = std::numeric_limits<double>::quiet_NaN();
  if (options.draws > 0) {
    DrawCounter counter(options.progress, options.draws + std::min(options.draws, most_tables));
    add_intervals(fit, tables, draws, options, counter);
    fit.p_value = p_value_of(fit, tables, draws, options, counter);
  }
  judge(fit, all, problem, best, options.draws);
  return fit;
}

}  // namespace metascale
