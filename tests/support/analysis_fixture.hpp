// Runs made up from a known law, so that reports can be tested and looked at without training.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "analysis/collect.hpp"
#include "core/run_file.hpp"

namespace metascale::fixture {

struct ArmTruth {
  std::string arm, architecture;
  double gain = 0;         // relative, at the smallest size
  double gain_growth = 0;  // added per factor e of parameters
};

struct SweepTruth {
  std::string name = "synthetic";
  std::vector<ArmTruth> arms{{"transformer", "transformer", 0, 0},
                             {"rwkv7", "rwkv7", 0.010, 0.001},
                             {"meta_state", "meta_state", 0.018, 0.004}};
  std::vector<std::pair<std::string, double>> sizes{
      {"1M", 1e6}, {"3M", 3e6}, {"10M", 1e7}, {"30M", 3e7}, {"60M", 6e7}};  // parameters
  std::vector<std::string> lengths{"1xC"};
  int seeds = 3;
  int steps = 400;
  int documents = 240;
  double seed_noise = 0.002;  // relative
  std::string coverage = "all";
  // L = E + A N^-alpha, nats per token
  double constant = 1.7, coefficient = 60, exponent = 0.28;
};

inline const std::vector<std::string>& domains() {
  static const std::vector<std::string> names{"books",        "code", "dialogue",
                                              "encyclopedia", "law",  "papers"};
  return names;
}

inline double loss_of(const SweepTruth& truth, const ArmTruth& arm, double parameters) {
  const double base = truth.constant + truth.coefficient * std::pow(parameters, -truth.exponent);
  const double gain =
      arm.gain + arm.gain_growth * std::log(parameters / truth.sizes.front().second);
  return base * (1 - gain);
}

// The final evaluation: documents whose difficulty all arms share.
// An arm gains more or less in each domain.
inline Evaluation final_evaluation(const SweepTruth& truth, const ArmTruth& arm, double loss,
                                   std::uint64_t noise_seed) {
  std::mt19937_64 shared(42), own(noise_seed);
  std::normal_distribution<double> normal;
  Evaluation evaluation{.step = truth.steps,
                        .split = "test",
                        .protocol = "packed_windows",
                        .is_final = true,
                        .coverage = truth.coverage,
                        .digest = 77};
  for (const std::string& domain : domains()) evaluation.domains.push_back({domain});
  evaluation.positions = {{0, 31, 0, 0}, {32, 127, 0, 0}, {128, 511, 0, 0}};
  for (int document = 0; document < truth.documents; ++document) {
    const auto domain = std::size_t(document) % domains().size();
    const std::int64_t tokens = 200 + std::int64_t(shared() % 800);
    const double difficulty = 1 + 0.18 * normal(shared) + 0.07 * (double(domain) - 2.5);
    const double taste = 1 - arm.gain * 0.3 * (double(domain) - 2.5);
    const double nats = double(tokens) * loss * difficulty * taste * (1 + 0.004 * normal(own));
    SegmentRow segment{document / 4, document, std::int32_t(domain), tokens, tokens * 4, nats};
    evaluation.segments.push_back(segment);
    DomainRow& row = evaluation.domains[domain];
    row.tokens += tokens, row.bytes += segment.bytes, row.nats += nats;
    evaluation.tokens += tokens, evaluation.bytes += segment.bytes, evaluation.nats += nats;
    for (PositionRow& position : evaluation.positions)
      position.tokens += tokens / 3, position.nats += nats / 3;
  }
  return evaluation;
}

inline void add_steps(RunLog& log, const SweepTruth& truth, double final_loss,
                      double flops_per_token, std::int64_t batch, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  for (int step = 1; step <= truth.steps; ++step) {
    const double share = double(step) / truth.steps;
    const double loss = final_loss +
                        (5.5 - final_loss) * std::pow(1 + 60 * share, -0.9) * (1 - 0.15 * share) +
                        0.03 * normal(random);
    StepRow row{.step = step,
                .tokens = step * batch,
                .flops = flops_per_token * double(step * batch),
                .loss = loss,
                .learning_rate = 1e-3 * (1 - 0.9 * share),
                .gradient_norm = 0.5,
                .digest = std::uint64_t(step) * 977,
                .seconds = flops_per_token * double(batch) / 4e11,
                .tokens_per_second = 4e11 / flops_per_token};
    log.steps.push_back(row);
    if (step % std::max(1, truth.steps / 10) == 0)
      log.evaluations.push_back({.step = step,
                                 .split = "validation",
                                 .protocol = "packed_windows",
                                 .coverage = "all",
                                 .digest = 5,
                                 .tokens = 1000,
                                 .bytes = 4000,
                                 .nats = 1000 * (loss + 0.02)});
  }
}

inline RunLog run_log(const SweepTruth& truth, const ArmTruth& arm,
                      const std::pair<std::string, double>& size, const std::string& length,
                      int seed) {
  std::string arms;
  for (const ArmTruth& each : truth.arms) arms += (arms.empty() ? "" : ",") + each.arm;
  const std::uint64_t noise =
      std::hash<std::string>{}(arm.arm + size.first + length) + std::uint64_t(seed);
  std::mt19937_64 random(noise);
  const double loss = loss_of(truth, arm, size.second) *
                      (1 + truth.seed_noise * std::normal_distribution<double>()(random));
  const double flops_per_token = 6 * size.second;
  const auto batch = std::int64_t(20 * size.second / truth.steps);
  RunLog log;
  log.run_id =
      arm.arm + "-" + size.first + "-" + length + "-s" + std::to_string(seed) + "-0badcafe";
  log.configuration = "schema: 1\nid: " + log.run_id + "\n";
  log.facts = {{"arm", arm.arm},
               {"architecture", arm.architecture},
               {"size", size.first},
               {"length", length},
               {"seed", std::to_string(seed)},
               {"parameters", std::to_string(std::int64_t(size.second))},
               {"non_embedding_parameters", std::to_string(std::int64_t(0.8 * size.second))},
               {"flops_per_token", std::to_string(flops_per_token)},
               {"training_flops", std::to_string(flops_per_token * 20 * size.second)},
               {"tokens_planned", std::to_string(batch * truth.steps)},
               {"steps_planned", std::to_string(truth.steps)},
               {"batch_tokens", std::to_string(batch)},
               {"context", "512"},
               {"tokenizer", "bytes"},
               {"data_name", "small"},
               {"data_digest", "d1"},
               {"data_order", "permuted, seeds 1234 and " + std::to_string(seed)},
               {"evaluation", "packed_windows, all windows"},
               {"match_value", std::to_string(std::int64_t(size.second))},
               {"schedule", "cosine 1% 10%"},
               {"precision", "f32"},
               {"baseline_arm", truth.arms.front().arm},
               {"arms", arms},
               {"sweep", truth.name},
               {"match_on", "parameters"},
               {"match_tolerance", "0.5%"},
               {"status", "done"},
               {"device", "cpu"},
               {"threads", "2"}};
  log.environment = {
      {"host", "node1"}, {"cpu", "an x86-64 CPU"}, {"threads", "2"}, {"commit", "0badcafe"}};
  add_steps(log, truth, loss, flops_per_token, batch, noise);
  log.evaluations.push_back(final_evaluation(truth, arm, loss, noise));
  return log;
}

// All logs of the sweep, in no particular order.
inline std::vector<RunLog> sweep_logs(const SweepTruth& truth) {
  std::vector<RunLog> logs;
  for (const ArmTruth& arm : truth.arms)
    for (const auto& size : truth.sizes)
      for (const std::string& length : truth.lengths)
        for (int seed = 1; seed <= truth.seeds; ++seed)
          logs.push_back(run_log(truth, arm, size, length, seed));
  return logs;
}

inline Collection collection_of(std::vector<RunLog> logs) {
  Collection collection;
  for (RunLog& log : logs) collection.runs.push_back(summarise(std::move(log), {}));
  for (Run& run : collection.runs) run.folder = "runs/" + run.id;
  settle(collection);
  return collection;
}

}  // namespace metascale::fixture
