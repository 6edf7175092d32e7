// The frame of RWKV-7's blocks, by RWKV-LM's names and initial values [Peng et al. 2025]; what
// stands behind the time mix in a block makes the model:
//   x = LN0(embedding);   x <- x + TimeMix(LN1 x);   x <- x + FeedForward(LN2 x);
//   logits = head LN_out(x)
#pragma once

#include "experiments/layers/channel_mix.hpp"
#include "experiments/models/model.hpp"

namespace metascale {

// c (B, T, D): the normalised input. mix: the time mix of the same block.
using FeedForward = Tensor (*)(Forward&, std::int64_t layer, const Tensor& c, const TimeMix& mix);

ModelOutput recurrent(Forward& forward, const Tensor& tokens, FeedForward feed_forward);

}  // namespace metascale
