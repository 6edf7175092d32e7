// RWKV-7 [Peng et al. 2025], by RWKV-LM's names and initial values:
//   x = LN0(embedding);   x <- x + TimeMix(LN1 x);   x <- x + ChannelMix(LN2 x);
//   logits = head LN_out(x)
// and Meta-State: the same model with the channel mix replaced by a layer that reads the WKV state
// as weights (our definition, docs/model.md; the paper's equations were not at hand).
#include <cmath>

#include "experiments/layers/basic.hpp"
#include "experiments/layers/channel_mix.hpp"
#include "experiments/models/model.hpp"

namespace metascale {
namespace {

Tensor norm(Forward& f, const std::string& name, const Tensor& x) {
  const std::int64_t D = f.config.width;
  return layer_norm(f.tape, x, f.parameter(name + ".weight", {D}, Initial::constant(1)),
                    f.parameter(name + ".bias", {D}, Initial::constant(0)));
}

using FeedForward = Tensor (*)(Forward&, std::int64_t layer, const Tensor& c, const TimeMix& mix);

ModelOutput recurrent(Forward& f, const Tensor& tokens, FeedForward feed_forward) {
  const double V = double(f.config.vocabulary), D = double(f.config.width);
  Tensor x = embed(f.tape, tokens, f.vocabulary_parameter("emb.weight", Initial::uniform(1e-4)));
  Tensor v_first;  // of layer 0, mixed into the values of all later layers
  for (std::int64_t l = 0; l < f.config.layers; ++l) {
    const std::string name = concat("blocks.", l, ".");
    f.tape.begin_block();
    if (l == 0) x = norm(f, name + "ln0", x);
    const TimeMix mix = time_mix(f, l, norm(f, name + "ln1", x), v_first);
    v_first = mix.v_first;
    x = add(f.tape, x, mix.out);
    x = add(f.tape, x, feed_forward(f, l, norm(f, name + "ln2", x), mix));
    f.tape.end_block();
  }
  const double gain = V > D ? 0.5 * std::sqrt(V / D) : 0.5;
  return {.hidden = norm(f, "ln_out", x),
          .head = f.vocabulary_parameter("head.weight", Initial::semi_orthogonal(gain))};
}

}  // namespace

ModelOutput rwkv7(Forward& f, const Tensor& tokens) {
  return recurrent(f, tokens, [](Forward& f, std::int64_t layer, const Tensor& c, const TimeMix&) {
    return channel_mix(f, layer, c);
  });
}

ModelOutput meta_state(Forward& f, const Tensor& tokens) {
  return recurrent(f, tokens, meta_state_layer);
}

}  // namespace metascale
