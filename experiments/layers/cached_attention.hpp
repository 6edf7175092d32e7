// Attention of new tokens to all that came before them, whose keys and values are kept: generation.
#pragma once

#include "experiments/layers/attention.hpp"
#include "experiments/models/model.hpp"

namespace metascale {

// heads (1, T, H, N), not yet turned; y (1, T, H N). name: of the caches in Tape::carried_states,
// which get ".keys" and ".values", (1, forward.cache->capacity, H, N) each.
Tensor cached_attention(Forward& forward, const std::string& name, const Heads& heads,
                        std::int64_t rotated);

}  // namespace metascale
