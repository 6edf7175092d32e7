// What stands behind the time mix in a block: RWKV-7's channel mix, or the Meta-State layer in its
// place.
//   channel mix:  out = V relu(K c')^2,   c' = token shift of c
//   Meta-State:   out = V relu(K z)^2,    z = c' + gamma * normalised read-out of the WKV state
#pragma once

#include "experiments/layers/time_mix.hpp"

namespace metascale {

// c (B, T, D): the normalised input.
Tensor channel_mix(Forward& forward, std::int64_t layer, const Tensor& c);
// mix: the time mix of the same block, whose state is read.
Tensor meta_state_layer(Forward& forward, std::int64_t layer, const Tensor& c, const TimeMix& mix);

}  // namespace metascale
