#include "experiments/layers/recurrent_shape.hpp"

#include "experiments/plan.hpp"

namespace metascale {

RecurrentShape recurrent_shape(const ModelConfig& config) {
  const std::int64_t H = head_count(config);
  const LowRanks ranks = low_ranks(config);
  return {.D = config.width,
          .N = config.head_size,
          .H = H,
          .A = H * config.head_size,
          .read_heads = read_head_count(config),
          .rank_decay = ranks.decay,
          .rank_rate = ranks.rate,
          .rank_value = ranks.value,
          .rank_gate = ranks.gate};
}

}  // namespace metascale
