// What a model costs, in closed form: parameters and model FLOPs per token, as plan, matching and
// axes count them [model.md 4.1; analysis.md 1]. One rule for every architecture, whatever kernel
// runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/config.hpp"

namespace metascale {

struct ModelCounts {
  std::int64_t parameters = 0;
  std::int64_t non_embedding_parameters = 0;  // without embedding and head
  double flops_per_token = 0;                 // 3 x forward, mean over the context
};

// context (T) matters to causal attention only. The model must be valid [config.hpp:
// parse_run_config].
ModelCounts count_model(const ModelConfig& model, std::int64_t context);

// The same, part by part; the parts add up to count_model.
struct ModelItem {
  std::string name;             // "embedding", "time mix", "feed-forward" ...
  std::int64_t parameters = 0;  // all layers
  double flops_per_token = 0;   // 3 x forward, all layers
};
std::vector<ModelItem> itemise_model(const ModelConfig& model, std::int64_t context);

struct LowRanks {
  std::int64_t decay = 0, rate = 0, value = 0, gate = 0;
};
// The configured widths, or the rule f(c) = max(32, 32 round(c sqrt(D) / 32)), ties to even.
LowRanks low_ranks(const ModelConfig& model);

// It carries a state of constant size; the others keep keys and values.
bool is_recurrent(const ModelConfig& model);

std::int64_t head_count(const ModelConfig& model);  // H: configured, or width / head_size
// Heads whose state the layer reads: max(1, min(H, floor(rho H + 1/2))); 0 unless meta_state reads.
std::int64_t read_head_count(const ModelConfig& model);  // H_s

// Floating-point operations of training `tokens` tokens.
double training_flops(const ModelConfig& model, const TrainingConfig& training);

}  // namespace metascale
