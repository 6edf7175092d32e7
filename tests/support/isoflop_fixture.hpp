// Runs made up so that the size of least loss at each FLOP budget is known.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/analysis_fixture.hpp"

namespace metascale::fixture {

inline constexpr double budgets[] = {1e16, 1e17, 1e18, 1e19};

// N* = coefficient C^exponent, in non-embedding parameters; loss 0.05 (ln N / N*)^2 above the
// valley's floor.
struct Valley {
  std::string arm, architecture;
  double coefficient, exponent;
  double flops_share = 1;  // of the budget, at the largest size; 1 at the smallest
};
inline const Valley transformer{"transformer", "transformer", 0.03, 0.5};
inline const Valley meta_state{"meta_state", "meta_state", 0.0008, 0.6, 0.93};

inline double valley_loss(const Valley& valley, double flops, double parameters) {
  const double optimum = valley.coefficient * std::pow(flops, valley.exponent);
  return 2 + 40 * std::pow(flops, -0.09) + 0.05 * std::pow(std::log(parameters / optimum), 2);
}

struct Grid {
  std::vector<Valley> arms{transformer, meta_state};
  int sizes = 10;  // 1M and its doubles
  int seeds = 1;
  double noise = 0;  // relative, of one run
};

inline RunLog log_of(const Grid& grid, const Valley& valley, double budget, int size, int seed) {
  SweepTruth truth;
  truth.arms.clear();
  for (const Valley& each : grid.arms) truth.arms.push_back({each.arm, each.architecture});
  truth.steps = 10, truth.documents = 6;
  const double parameters = 1e6 * std::pow(2, size), own = 0.8 * parameters;
  const std::string length = fmt::format("{:.0e}flop", budget);
  RunLog log = run_log(truth, {valley.arm, valley.architecture},
                       {std::to_string(1 << size) + "M", parameters}, length, seed);
  const double flops = budget * std::pow(valley.flops_share, double(size) / double(grid.sizes - 1));
  for (StepRow& row : log.steps) {
    row.flops = flops * double(row.step) / truth.steps;
    row.tokens = std::int64_t(row.flops / (6 * parameters));
  }
  log.facts["tokens_planned"] = std::to_string(std::int64_t(budget / (6 * parameters)));
  std::mt19937_64 random(std::hash<std::string>{}(log.run_id));
  Evaluation& last = log.evaluations.back();
  last.nats = double(last.tokens) * valley_loss(valley, budget, own) *
              (1 + grid.noise * std::normal_distribution<double>()(random));
  return log;
}

inline std::vector<RunLog> logs_of(const Grid& grid) {
  std::vector<RunLog> logs;
  for (const Valley& valley : grid.arms)
    for (const double budget : budgets)
      for (int size = 0; size < grid.sizes; ++size)
        for (int seed = 1; seed <= grid.seeds; ++seed)
          logs.push_back(log_of(grid, valley, budget, size, seed));
  return logs;
}

}  // namespace metascale::fixture
