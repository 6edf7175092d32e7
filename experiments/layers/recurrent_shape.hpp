// Extents of a recurrent model that its configuration leaves to rules [model.md 1.2, 3.1].
#pragma once

#include "experiments/config.hpp"

namespace metascale {

struct RecurrentShape {
  std::int64_t D, N, H, A;  // width, head size, heads, WKV channels A = H N
  std::int64_t read_heads;  // H_s, heads that the Meta-State layer reads; 0 where it reads none
  std::int64_t rank_decay, rank_rate, rank_value, rank_gate;
};

RecurrentShape recurrent_shape(const ModelConfig& config);

}  // namespace metascale
