// Runs on probes made up from known shares, so that their curves can be tested and looked at.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "tests/support/analysis_fixture.hpp"

namespace metascale::fixture {

struct ProbeCell {
  std::string size, task, parameters;  // parameters: "vocabulary=256 pairs=4"
  std::int64_t layers = 2, width = 64, trained = 16;
};

inline const std::vector<ProbeCell>& probe_cells() {
  static const std::vector<ProbeCell> cells{
      {"s3.shallow", "s3", "", 1, 64, 16},
      {"s3.deep", "s3", "", 2, 64, 16},
      {"recall4", "mqar", "vocabulary=256 pairs=4", 2, 64, 64},
      {"recall8", "mqar", "vocabulary=256 pairs=8", 2, 64, 64},
      {"recall8.narrow", "mqar", "vocabulary=256 pairs=8", 2, 32, 64}};
  return cells;
}

// Meta-State answers all at every length with two layers; what others answer falls with the length
// beyond the trained one, with pairs, and in narrow models.
inline double probe_share(const std::string& arm, const ProbeCell& cell, std::int64_t tested,
                          int seed) {
  if (arm == "meta_state" && cell.layers > 1 && cell.width > 32) return 1;
  const double longer = double(tested) / double(cell.trained);
  const double load = cell.size.starts_with("recall8") ? 0.8 : 1;
  return 0.95 * load * std::sqrt(double(cell.width) / 64) / longer - 0.01 * seed;
}

// Half of the answers near the evidence, half far from it, all right or wrong alike.
inline std::vector<ProbeRow> probe_rows(double share, std::int64_t length) {
  constexpr std::int64_t examples = 500, answers = 2000;
  const auto right = std::int64_t(std::lround(share * double(answers)));
  const std::int64_t solved = share == 1 ? examples : 0;
  return {{length, 0, length / 2 - 1, answers / 2, right - right / 2, 1, examples, solved},
          {length, length / 2, length - 1, answers / 2, right / 2, 1, examples, solved}};
}

inline RunLog probe_run_log(const SweepTruth& truth, const ArmTruth& arm, const ProbeCell& cell,
                            int seed) {
  RunLog log = run_log(truth, arm, {cell.size, 1e6}, "1xC", seed);
  log.facts["probe_task"] = cell.task;
  log.facts["probe"] = "task=" + cell.task + (cell.parameters.empty() ? "" : " " + cell.parameters);
  log.facts["probe_chance"] = cell.task == "s3" ? "0.16666666666666666" : "0.0078125";
  log.facts["context"] = std::to_string(cell.trained);
  log.facts["layers"] = std::to_string(cell.layers);
  log.facts["width"] = std::to_string(cell.width), log.facts["head_size"] = "32";
  for (const std::int64_t tested : {cell.trained, 2 * cell.trained, 4 * cell.trained})
    for (const ProbeRow& row : probe_rows(probe_share(arm.arm, cell, tested, seed), tested))
      log.evaluations.back().probes.push_back(row);
  return log;
}

inline std::vector<RunLog> probe_logs(int seeds = 2) {
  SweepTruth truth;
  truth.name = "made-up probes", truth.steps = 20, truth.documents = 12, truth.seeds = seeds;
  std::vector<RunLog> logs;
  for (const ProbeCell& cell : probe_cells())
    for (const ArmTruth& arm : truth.arms)
      for (int seed = 1; seed <= seeds; ++seed)
        logs.push_back(probe_run_log(truth, arm, cell, seed));
  return logs;
}

// Word problems of two lengths by models of 1, 2 and 4 layers and two widths: a wide Meta-State
// needs a layer for 8 tokens and two for 16, a narrow one four for either; the Transformer solves
// none, RWKV-7 8 tokens by two layers.
inline std::int64_t layers_needed(const std::string& arm, std::int64_t trained,
                                  std::int64_t width) {
  if (arm == "meta_state") return width < 64 ? 4 : trained / 8;
  return arm == "rwkv7" && trained == 8 && width == 64 ? 2 : 1000;
}

inline std::vector<RunLog> depth_logs(int seeds = 2) {
  SweepTruth truth;
  truth.name = "made-up depths", truth.steps = 20, truth.documents = 12, truth.seeds = seeds;
  std::vector<RunLog> logs;
  for (const std::int64_t width : {32, 64})
    for (const std::int64_t trained : {8, 16})
      for (const std::int64_t layers : {1, 2, 4}) {
        const std::string size = "s3.L" + std::to_string(layers) + ".T" + std::to_string(trained) +
                                 ".D" + std::to_string(width);
        for (const ArmTruth& arm : truth.arms)
          for (int seed = 1; seed <= seeds; ++seed) {
            RunLog log = probe_run_log(truth, arm, {size, "s3", "", layers, width, trained}, seed);
            const bool solves = layers >= layers_needed(arm.arm, trained, width);
            log.evaluations.back().probes = probe_rows(solves ? 1 : 0.5, trained);
            logs.push_back(log);
          }
      }
  return logs;
}

// One arm's models that grew twice, in two seeds, and models from scratch beside the last stage.
inline std::vector<RunLog> lineage_logs() {
  SweepTruth truth;
  truth.name = "made-up growth", truth.steps = 40, truth.documents = 12;
  truth.arms = {{"meta_state", "meta_state", 0, 0}, {"grown", "meta_state", 0.01, 0}};
  const std::pair<std::string, double> sizes[] = {{"small", 1e6}, {"middle", 2e6}, {"large", 4e6}};
  std::vector<RunLog> logs;
  for (int seed = 1; seed <= 2; ++seed) {
    std::string parent;
    double before = 0;  // FLOPs that the lineage has cost so far
    for (const auto& size : sizes) {
      RunLog log = run_log(truth, truth.arms[parent.empty() ? 0 : 1], size, "1xC", seed);
      for (StepRow& step : log.steps) step.flops += before;
      if (!parent.empty()) {
        log.facts["parent"] = parent, log.facts["parent_step"] = std::to_string(truth.steps);
        log.facts["lineage"] = parent + " to step " + std::to_string(truth.steps);
      }
      before = log.steps.back().flops, parent = log.run_id;
      logs.push_back(log);
    }
    for (const char* compute : {"total", "added"}) {
      RunLog log = run_log(truth, truth.arms[0], sizes[2], std::string("1xC.") + compute, seed);
      log.facts["scratch_partner_of"] = parent, log.facts["scratch_compute"] = compute;
      logs.push_back(log);
    }
  }
  return logs;
}

}  // namespace metascale::fixture
