#include "experiments/models/recurrent.hpp"

#include <cmath>

#include "experiments/layers/basic.hpp"

namespace metascale {
namespace {

Tensor norm(Forward& f, const std::string& name, Residual& x) {
  const std::int64_t D = f.config.width;
  return layer_norm(f.tape, x, f.parameter(name + ".weight", {D}, Initial::constant(1)),
                    f.parameter(name + ".bias", {D}, Initial::constant(0)));
}

}  // namespace

ModelOutput recurrent(Forward& f, const Tensor& tokens, FeedForward feed_forward) {
  const double V = double(f.config.vocabulary), D = double(f.config.width);
  Residual x{embed(f.tape, tokens, f.vocabulary_parameter("emb.weight", Initial::uniform(1e-4)))};
  Tensor v_first;  // of layer 0, mixed into the values of all later layers
  for (std::int64_t l = 0; l < f.config.layers; ++l) {
    const std::string name = concat("blocks.", l, ".");
    f.tape.begin_block();
    if (l == 0) x = {norm(f, name + "ln0", x)};
    const TimeMix mix = time_mix(f, l, norm(f, name + "ln1", x), v_first);
    v_first = mix.v_first;
    x += mix.out;
    x += feed_forward(f, l, norm(f, name + "ln2", x), mix);
    end_block(f.tape, x);
  }
  const double gain = V > D ? 0.5 * std::sqrt(V / D) : 0.5;
  return {.hidden = norm(f, "ln_out", x),
          .head = f.vocabulary_parameter("head.weight", Initial::semi_orthogonal(gain))};
}

}  // namespace metascale
