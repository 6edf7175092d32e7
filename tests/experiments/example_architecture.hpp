// The architecture that docs/adding-an-architecture.md walks through: Transformer++ with the
// squared ReLU of Primer [So et al. 2021] in place of SwiGLU. No product model; it is compiled and
// tested so that the page stays true.
//   x <- x + W_o attention(RMS x);   x <- x + W_down relu(W_up RMS x)^2
#pragma once

#include <cmath>

#include "experiments/layers/attention.hpp"
#include "experiments/layers/basic.hpp"
#include "experiments/models/model.hpp"

namespace metascale::testing {

inline Tensor norm(Forward& f, const std::string& name, Residual& x) {
  return rms_norm(f.tape, x, f.parameter(name + ".weight", {f.config.width}, Initial::constant(1)));
}

// x W^T; the weight is a matrix, so it is decayed
inline Tensor dense(Forward& f, const std::string& name, const Tensor& x, std::int64_t outputs,
                    const Initial& initial) {
  const std::int64_t inputs = x.shape[x.shape.rank - 1];
  return linear(f.tape, x, f.parameter(name + ".weight", {outputs, inputs}, initial, true));
}

inline ModelOutput primer(Forward& f, const Tensor& tokens) {
  const std::int64_t D = f.config.width, N = f.config.head_size;
  const Shape per_head{tokens.shape[0], tokens.shape[1], D / N, N};
  const Initial small = Initial::normal(std::sqrt(2.0 / (5.0 * double(D))));
  const Initial zero = Initial::constant(0);

  Residual x{embed(f.tape, tokens, f.vocabulary_parameter("embed.weight", small))};  // (B, T, D)
  for (std::int64_t l = 0; l < f.config.layers; ++l) {
    const std::string name = concat("blocks.", l, ".");
    f.tape.begin_block();
    const Tensor h = norm(f, name + "norm_1", x);
    const auto heads = [&](const char* which) {  // (B, T, H, N)
      return dense(f, name + which, h, D, small).reshaped(per_head);
    };
    const Tensor attended = attention(
        f.tape,
        {.q = rotary(f.tape, heads("q"), N), .k = rotary(f.tape, heads("k"), N), .v = heads("v")});
    x += dense(f, name + "o", attended, D, zero);

    const Tensor g = norm(f, name + "norm_2", x);
    const Tensor up = dense(f, name + "up", g, f.config.feed_forward, small);  // (B, T, F)
    const Tensor hidden = activation(f.tape, up, ActivationKind::relu_squared);
    x += dense(f, name + "down", hidden, D, zero);
    end_block(f.tape, x);
  }
  return {.hidden = norm(f, "norm", x), .head = f.vocabulary_parameter("head.weight", small)};
}

}  // namespace metascale::testing
