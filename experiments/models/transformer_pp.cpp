// Transformer++: the Llama form [Touvron et al. 2023]. RMSNorm, rotary on whole heads, SwiGLU, no
// biases, untied:
//   x <- x + W_o attention(RMS x);   x <- x + W_down (silu(W_gate h) * W_up h),  h = RMS x
#include <cmath>

#include "experiments/layers/attention.hpp"
#include "experiments/layers/basic.hpp"
#include "experiments/layers/cached_attention.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

Tensor norm(Forward& f, const std::string& name, Residual& x) {
  return rms_norm(f.tape, x, f.parameter(name + ".weight", {f.config.width}, Initial::constant(1)));
}

Tensor dense(Forward& f, const std::string& name, const Tensor& x, std::int64_t outputs,
             const Initial& initial) {
  const std::int64_t inputs = x.shape[x.shape.rank - 1];
  return linear(f.tape, x, f.parameter(name + ".weight", {outputs, inputs}, initial, true));
}

}  // namespace

ModelOutput transformer_pp(Forward& f, const Tensor& tokens) {
  const std::int64_t D = f.config.width, H = head_count(f.config), N = f.config.head_size;
  const Shape per_head{tokens.shape[0], tokens.shape[1], H, N};
  const Initial small = Initial::normal(std::sqrt(2.0 / (5.0 * double(D))));
  const Initial wang = Initial::normal(2.0 / double(f.config.layers) / std::sqrt(double(D)));

  Residual x{embed(f.tape, tokens, f.vocabulary_parameter("model.embed_tokens.weight", small))};
  for (std::int64_t l = 0; l < f.config.layers; ++l) {
    const std::string name = concat("model.layers.", l, ".");
    f.tape.begin_block();
    const Tensor h = norm(f, name + "input_layernorm", x);
    const auto heads = [&](const char* which) {
      return dense(f, name + "self_attn." + which, h, H * N, small).reshaped(per_head);
    };
    const Heads raw{.q = heads("q_proj"), .k = heads("k_proj"), .v = heads("v_proj")};
    const Tensor attended =
        f.cache
            ? cached_attention(f, name + "self_attn", raw, N)
            : attention(f.tape,
                        {.q = rotary(f.tape, raw.q, N), .k = rotary(f.tape, raw.k, N), .v = raw.v},
                        f.first_positions);
    x += dense(f, name + "self_attn.o_proj", attended, D, wang);

    const Tensor g = norm(f, name + "post_attention_layernorm", x);
    const Tensor gate = dense(f, name + "mlp.gate_proj", g, f.config.feed_forward, small);
    const Tensor up = dense(f, name + "mlp.up_proj", g, f.config.feed_forward, small);
    x += dense(f, name + "mlp.down_proj", swiglu(f.tape, gate, up), D, wang);
    end_block(f.tape, x);
  }
  return {.hidden = norm(f, "model.norm", x),
          .head = f.vocabulary_parameter("lm_head.weight", small)};
}

}  // namespace metascale
