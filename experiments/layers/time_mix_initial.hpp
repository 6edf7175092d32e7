// Initial values of the time mix's vectors [model.md 1.2, after RWKV-LM's initialisation].
#pragma once

#include <string>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

class TimeMixInitial {
 public:
  TimeMixInitial(const ModelConfig& config, std::int64_t layer);
  // name: x_r x_w x_k x_v x_a x_g (D), w0 a0 v0 k_k k_a (A), ln_x (A, its weight).
  Initial vector(const std::string& name) const;

 private:
  double D, A, N, layer, L;
};

// ffn.x_k (D)
Initial channel_mix_initial(const ModelConfig& config, std::int64_t layer);

}  // namespace metascale
