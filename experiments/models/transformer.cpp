// Transformer: GPT-NeoX / Pythia [Black et al. 2022; Biderman et al. 2023]. Pre-LayerNorm, rotary
// on a quarter of each head, GELU, biases, untied head; attention and MLP in parallel:
//   x <- x + W_o attention(LN_1 x) + W_2 gelu(W_1 LN_2 x)
// (parallel_residual; else one after the other)
#include <cmath>

#include "experiments/layers/attention.hpp"
#include "experiments/layers/basic.hpp"
#include "experiments/layers/cached_attention.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

struct Initials {
  Initial small, wang;  // small_init [Nguyen & Salazar 2019]; wang_init [GPT-J]
  explicit Initials(const ModelConfig& config)
      : small(Initial::normal(std::sqrt(2.0 / (5.0 * double(config.width))))),
        wang(Initial::normal(2.0 / double(config.layers) / std::sqrt(double(config.width)))) {}
};

Tensor norm(Forward& f, const std::string& name, Residual& x) {
  const std::int64_t D = f.config.width;
  return layer_norm(f.tape, x, f.parameter(name + ".weight", {D}, Initial::constant(1)),
                    f.parameter(name + ".bias", {D}, Initial::constant(0)));
}

Tensor dense(Forward& f, const std::string& name, const Tensor& x, std::int64_t outputs,
             const Initial& initial) {
  const std::int64_t inputs = x.shape[x.shape.rank - 1];
  return linear(f.tape, x, f.parameter(name + ".weight", {outputs, inputs}, initial, true),
                f.parameter(name + ".bias", {outputs}, Initial::constant(0)));
}

Tensor self_attention(Forward& f, const std::string& name, const Tensor& x, const Initials& init) {
  const std::int64_t A = head_count(f.config) * f.config.head_size;
  const auto rotated = std::int64_t(f.config.rotary_fraction * double(f.config.head_size)) / 2 * 2;
  Heads heads = split_heads(f.tape, dense(f, name + ".query_key_value", x, 3 * A, init.small),
                            f.config.head_size);
  if (f.cache)
    return dense(f, name + ".dense", cached_attention(f, name, heads, rotated), f.config.width,
                 init.wang);
  heads.q = rotary(f.tape, heads.q, rotated);
  heads.k = rotary(f.tape, heads.k, rotated);
  return dense(f, name + ".dense", attention(f.tape, heads, f.first_positions), f.config.width,
               init.wang);
}

Tensor mlp(Forward& f, const std::string& name, const Tensor& x, const Initials& init) {
  const auto gelu = f.config.gelu_tanh ? ActivationKind::gelu_tanh : ActivationKind::gelu_erf;
  const Tensor hidden = dense(f, name + ".dense_h_to_4h", x, f.config.feed_forward, init.small);
  return dense(f, name + ".dense_4h_to_h", activation(f.tape, hidden, gelu), f.config.width,
               init.wang);
}

}  // namespace

ModelOutput transformer(Forward& f, const Tensor& tokens) {
  const Initials init(f.config);
  Residual x{embed(f.tape, tokens, f.vocabulary_parameter("embed_in.weight", init.small))};
  for (std::int64_t l = 0; l < f.config.layers; ++l) {
    const std::string name = concat("layers.", l, ".");
    f.tape.begin_block();
    const Tensor attended =
        self_attention(f, name + "attention", norm(f, name + "input_layernorm", x), init);
    if (!f.config.parallel_residual) x += attended;
    const Tensor fed = mlp(f, name + "mlp", norm(f, name + "post_attention_layernorm", x), init);
    if (f.config.parallel_residual) x += attended;
    x += fed;
    end_block(f.tape, x);
  }
  return {.hidden = norm(f, "final_layer_norm", x),
          .head = f.vocabulary_parameter("embed_out.weight", init.small)};
}

}  // namespace metascale
