#include "experiments/plan.hpp"

#include <algorithm>
#include <cmath>

namespace metascale {
namespace {

// An entry of a matrix costs one multiply and one add forward, and twice that backward.
constexpr double flops_per_matrix_entry = 6;
constexpr double passes = 3;  // forward, and backward counted as two

struct Part {
  std::string name;
  std::int64_t matrices = 0;  // entries of matrices, per layer or once
  std::int64_t vectors = 0;   // other parameters
  double forward = 0;         // further FLOPs per token, forward
};

ModelItem item_of(const Part& part, std::int64_t times) {
  return {part.name, times * (part.matrices + part.vectors),
          double(times) * (flops_per_matrix_entry * double(part.matrices) + passes * part.forward)};
}

std::vector<ModelItem> recurrent_items(const ModelConfig& model) {
  const std::int64_t L = model.layers, D = model.width, N = model.head_size, P = model.feed_forward;
  const std::int64_t A = head_count(model) * N, read = read_head_count(model) * N;
  const LowRanks rank = low_ranks(model);
  std::vector<ModelItem> items;
  items.push_back({"layer norms", 2 * D * (2 * L + 2), 0});
  // x_r .. x_g; w0, a0, k_k, k_a, r_k, ln_x (two): 6D + 7A
  items.push_back(item_of({.name = "time mix",
                           .matrices = 4 * A * D + (D + A) * (rank.decay + rank.rate + rank.gate),
                           .vectors = 6 * D + 7 * A},
                          L));
  items.push_back(
      item_of({.name = "value residual", .matrices = (D + A) * rank.value, .vectors = A}, L - 1));
  items.push_back(item_of({.name = "WKV state", .forward = 9.0 * double(N) * double(A)}, L));
  items.push_back(item_of({.name = "feed-forward", .matrices = 2 * D * P, .vectors = D}, L));
  if (model.architecture == Architecture::meta_state) {
    const bool second = model.read_out == ReadOut::state;
    items.push_back(item_of({.name = "state read-out",
                             .vectors = read,
                             .forward = second ? 7.0 * double(N) * double(read) : 0.0},
                            L));
  }
  return items;
}

double causal_attention(const ModelConfig& model, std::int64_t context) {
  return 2.0 * double(head_count(model) * model.head_size) * double(context + 1);
}

std::vector<ModelItem> transformer_items(const ModelConfig& model, std::int64_t context) {
  const std::int64_t L = model.layers, D = model.width, F = model.feed_forward;
  const std::int64_t A = head_count(model) * model.head_size;  // D, unless heads were grown
  return {{"layer norms", 2 * D * (2 * L + 1), 0},
          item_of({.name = "attention matrices", .matrices = 4 * A * D, .vectors = 3 * A + D}, L),
          item_of({.name = "attention", .forward = causal_attention(model, context)}, L),
          item_of({.name = "feed-forward", .matrices = 2 * D * F, .vectors = F + D}, L)};
}

std::vector<ModelItem> transformer_pp_items(const ModelConfig& model, std::int64_t context) {
  const std::int64_t L = model.layers, D = model.width, F = model.feed_forward;
  const std::int64_t A = head_count(model) * model.head_size;
  return {{"norms", D * (2 * L + 1), 0},
          item_of({.name = "attention matrices", .matrices = 4 * A * D}, L),
          item_of({.name = "attention", .forward = causal_attention(model, context)}, L),
          item_of({.name = "feed-forward", .matrices = 3 * D * F}, L)};
}

std::vector<ModelItem> body_items(const ModelConfig& model, std::int64_t context) {
  switch (model.architecture) {
    case Architecture::transformer: return transformer_items(model, context);
    case Architecture::transformer_pp: return transformer_pp_items(model, context);
    case Architecture::rwkv7:
    case Architecture::meta_state: return recurrent_items(model);
  }
  return {};
}

}  // namespace

bool is_recurrent(const ModelConfig& model) {
  return model.architecture == Architecture::rwkv7 ||
         model.architecture == Architecture::meta_state;
}

std::int64_t head_count(const ModelConfig& model) {
  return model.heads ? model.heads : model.width / model.head_size;
}

std::int64_t read_head_count(const ModelConfig& model) {
  if (model.architecture != Architecture::meta_state || model.read_out == ReadOut::none) return 0;
  const std::int64_t heads = head_count(model);
  return std::clamp<std::int64_t>(std::int64_t(std::floor(model.rho * double(heads) + 0.5)), 1,
                                  heads);
}

LowRanks low_ranks(const ModelConfig& model) {
  const auto width = [&](std::int64_t configured, double factor) {
    if (configured) return configured;
    const double ratio = factor * std::sqrt(double(model.width)) / 32;
    return std::max<std::int64_t>(32, 32 * std::int64_t(std::nearbyint(ratio)));  // ties to even
  };
  return {width(model.rank_decay, 2.5), width(model.rank_rate, 2.5), width(model.rank_value, 1.7),
          width(model.rank_gate, 5)};
}

std::vector<ModelItem> itemise_model(const ModelConfig& model, std::int64_t context) {
  const std::int64_t table = model.vocabulary * model.width;
  std::vector<ModelItem> items = body_items(model, context);
  items.insert(items.begin(), {"embedding", table, 0});  // a look-up
  items.push_back({"head", table, flops_per_matrix_entry * double(table)});
  return items;
}

ModelCounts count_model(const ModelConfig& model, std::int64_t context) {
  ModelCounts counts;
  for (const ModelItem& item : itemise_model(model, context)) {
    counts.parameters += item.parameters;
    counts.flops_per_token += item.flops_per_token;
  }
  counts.non_embedding_parameters = counts.parameters - 2 * model.vocabulary * model.width;
  return counts;
}

double training_flops(const ModelConfig& model, const TrainingConfig& training) {
  return count_model(model, training.context).flops_per_token * double(training.steps) *
         double(training.batch_tokens);
}

}  // namespace metascale
