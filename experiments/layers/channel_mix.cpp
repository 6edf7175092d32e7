#include "experiments/layers/channel_mix.hpp"

#include "experiments/layers/basic.hpp"
#include "experiments/layers/recurrent_shape.hpp"
#include "experiments/layers/time_mix_initial.hpp"
#include "kernels/self_state.hpp"

namespace metascale {
namespace {

std::string prefix(std::int64_t layer) { return concat("blocks.", layer, ".ffn."); }

Tensor shifted_input(Forward& f, std::int64_t layer, const Tensor& c) {
  const Tensor mix =
      f.parameter(prefix(layer) + "x_k", {f.config.width}, channel_mix_initial(f.config, layer));
  const Tensor previous = token_before(f, prefix(layer) + "x", c);
  return token_shift(f, c, previous, {mix})[0];
}

// V relu(K z)^2: P parameter tokens, keys K (P, D) and values V (D, P)
Tensor parameter_tokens(Forward& f, std::int64_t layer, const Tensor& z) {
  const std::int64_t D = f.config.width, P = f.config.feed_forward;
  const Tensor keys =
      f.parameter(prefix(layer) + "key.weight", {P, D}, Initial::semi_orthogonal(1), true);
  const Tensor values =
      f.parameter(prefix(layer) + "value.weight", {D, P}, Initial::constant(0), true);
  const Tensor scores = linear(f.tape, z, keys);
  return linear(f.tape, activation(f.tape, scores, ActivationKind::relu_squared), values);
}

// q^h = c'[block of head h], normalised
void make_query(Forward& f, const Tensor& c, const RecurrentShape& s, const Tensor& q) {
  Tape& tape = f.tape;
  const std::int64_t R = c.size() / s.D;
  const Tensor inverse_norm = tape.statistic({R, s.read_heads});
  tape.run(SelfStateQueryForward{.q = q, .inverse_norm = inverse_norm, .c = c});
  tape.on_backward([&tape, q, inverse_norm, c] {
    tape.run(SelfStateQueryBackward{
        .dc = tape.gradient(c), .dq = tape.gradient(q), .q = q, .inverse_norm = inverse_norm});
  });
}

// e^h_t = S^h_{t-1} q^h_t (or S^h_t q^h_t): the state that the time mix made, read once more
Tensor read_state(Forward& f, const TimeMix& mix) {
  Tape& tape = f.tape;
  const Tensor &q = mix.state_read.q, &e = mix.state_read.e;
  const WkvRead read = mix.state_read.read;
  tape.run(Wkv7ReadOut{.e = e,
                       .q = q,
                       .d = mix.d,
                       .k = mix.k,
                       .v = mix.v,
                       .b = mix.b,
                       .u = mix.u,
                       .checkpoints = mix.checkpoints,
                       .read = read,
                       .chunked = mix.chunked});
  tape.on_backward([&tape, mix, q, e, read] {
    tape.run(Wkv7QueryBackward{.dq = tape.gradient(q),
                               .de = tape.gradient(e),
                               .d = mix.d,
                               .k = mix.k,
                               .v = mix.v,
                               .b = mix.b,
                               .u = mix.u,
                               .checkpoints = mix.checkpoints,
                               .read = read,
                               .chunked = mix.chunked});
  });
  return e;
}

// z = c', plus gamma_h * e^h in the channels that head h reads
Tensor add_read_out(Forward& f, std::int64_t layer, const Tensor& c, const Tensor& e,
                    const RecurrentShape& s) {
  Tape& tape = f.tape;
  const Tensor gamma = f.parameter(prefix(layer) + "sse_gamma", {s.read_heads, s.N},
                                   Initial::constant(f.config.gamma_init));
  const Tensor z = tape.activation(c.shape);
  tape.run(SelfStateMixForward{.z = z, .c = c, .e = e, .gamma = gamma});
  tape.on_backward([&tape, z, c, e, gamma] {
    tape.run(SelfStateMixBackward{.dc = tape.gradient(c),
                                  .de = tape.gradient(e),
                                  .dgamma = tape.gradient(gamma),
                                  .dz = tape.gradient(z),
                                  .e = e,
                                  .gamma = gamma});
  });
  return z;
}

constexpr double read_out_epsilon = 1e-5;  // |q| = 1, so e is about sqrt(N) smaller than y

}  // namespace

Tensor channel_mix(Forward& f, std::int64_t layer, const Tensor& c) {
  return parameter_tokens(f, layer, shifted_input(f, layer, c));
}

Tensor meta_state_layer(Forward& f, std::int64_t layer, const Tensor& input, const TimeMix& mix) {
  const RecurrentShape shape = recurrent_shape(f.config);
  const Tensor c = shifted_input(f, layer, input);
  switch (f.config.read_out) {
    case ReadOut::none: return parameter_tokens(f, layer, c);
    case ReadOut::time_mix:  // the control: the time mix's own normalised read-out, no second one
      return parameter_tokens(f, layer, add_read_out(f, layer, c, mix.yhat, shape));
    case ReadOut::state: break;
  }
  make_query(f, c, shape, mix.state_read.q);
  Tensor e = read_state(f, mix);
  if (f.first_positions.exists() && f.config.read_state == ReadState::previous)
    e = reset(f.tape, e, f.first_positions, 0);  // that was the state of the document before
  return parameter_tokens(f, layer,
                          add_read_out(f, layer, c, head_norm(f.tape, e, read_out_epsilon), shape));
}

}  // namespace metascale
