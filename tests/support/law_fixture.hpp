// Runs made up from a law in N and D: several lengths of each size.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/support/analysis_fixture.hpp"

namespace metascale::fixture {

// L = e + a N^-alpha + b D^-beta, nats per token, N non-embedding.
struct LawTruth {
  std::string arm, architecture;
  double a = 120, b = 300, e = 1.6, alpha = 0.30, beta = 0.32;

  double loss(double parameters, double tokens) const {
    return e + a * std::pow(parameters, -alpha) + b * std::pow(tokens, -beta);
  }
};

struct LawGrid {
  std::vector<LawTruth> arms{{"transformer", "transformer"},
                             {"meta_state", "meta_state", 0.8 * 120, 0.9 * 300}};
  std::vector<double> sizes{1e6, 3e6, 8e6, 2e7, 5.5e7, 1.5e8};  // parameters
  std::vector<int> ratios{5, 20, 80, 320};                      // tokens over parameters
  int seeds = 2;
  double noise = 0.001;  // relative, of one run
};

inline RunLog log_of(const LawGrid& grid, const LawTruth& law, double parameters, int ratio,
                     int seed) {
  SweepTruth truth;
  truth.name = "made-up lengths", truth.steps = 10, truth.documents = 6, truth.arms.clear();
  for (const LawTruth& each : grid.arms) truth.arms.push_back({each.arm, each.architecture});
  const double own = 0.8 * parameters, tokens = ratio * parameters;
  RunLog log = run_log(truth, {law.arm, law.architecture},
                       {std::to_string(int(parameters / 1e6)) + "M", parameters},
                       std::to_string(ratio) + "tokens", seed);
  for (StepRow& row : log.steps) {
    row.tokens = std::int64_t(tokens * double(row.step) / truth.steps);
    row.flops = 6 * parameters * double(row.tokens);
  }
  log.facts["tokens_planned"] = std::to_string(std::int64_t(tokens));
  std::mt19937_64 random(std::hash<std::string>{}(log.run_id));
  Evaluation& last = log.evaluations.back();
  last.nats = double(last.tokens) * law.loss(own, tokens) *
              (1 + grid.noise * std::normal_distribution<double>()(random));
  return log;
}

inline std::vector<RunLog> logs_of(const LawGrid& grid) {
  std::vector<RunLog> logs;
  for (const LawTruth& law : grid.arms)
    for (const double parameters : grid.sizes)
      for (const int ratio : grid.ratios)
        for (int seed = 1; seed <= grid.seeds; ++seed)
          logs.push_back(log_of(grid, law, parameters, ratio, seed));
  return logs;
}

}  // namespace metascale::fixture
