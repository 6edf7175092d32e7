#include "experiments/layers/time_mix.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "experiments/layers/basic.hpp"
#include "experiments/layers/low_rank.hpp"
#include "experiments/layers/recurrent_shape.hpp"
#include "experiments/layers/time_mix_initial.hpp"
#include "kernels/time_mix.hpp"
#include "kernels/token_shift.hpp"

namespace metascale {
namespace {

struct Names {
  Forward& f;
  std::string prefix;  // "blocks.3.att."
  RecurrentShape shape;
  TimeMixInitial initial;

  Tensor vector(const char* name, double rate_multiplier = 1) const {
    const std::int64_t extent = name[0] == 'x' ? shape.D : shape.A;
    return f.parameter(prefix + name, {extent}, initial.vector(name), false, rate_multiplier);
  }
  Tensor matrix(const char* name, std::int64_t outputs, std::int64_t inputs, Initial value) const {
    return f.parameter(prefix + name + ".weight", {outputs, inputs}, std::move(value), true);
  }
  // "w1" [D, R] and "w2" [R, A]
  void factors(LowRankMap& map, const std::string& letter, std::int64_t rank) const {
    const double gain = rank > shape.A ? std::sqrt(double(rank) / double(shape.A)) : 1.0;
    map.first = f.parameter(prefix + letter + "1", {shape.D, rank}, Initial::constant(0));
    map.second =
        f.parameter(prefix + letter + "2", {rank, shape.A}, Initial::semi_orthogonal(0.1 * gain));
  }
};

struct Weights {
  Tensor x_r, x_k, x_v;           // (D)     mixes
  Tensor receptance, key, value;  // (A, D)
  LowRankMap decay, rate, gate;
  LowRankMap value_residual;  // absent in layer 0
};

// Declared in the order of the arenas and of checkpoints.
Weights weights_of(const Names& n, bool is_first_layer) {
  const auto& s = n.shape;
  Weights w;
  w.x_r = n.vector("x_r");
  w.decay.mix = n.vector("x_w");
  w.x_k = n.vector("x_k");
  w.x_v = w.value_residual.mix = n.vector("x_v");
  w.rate.mix = n.vector("x_a");
  w.gate.mix = n.vector("x_g");
  w.receptance = n.matrix("receptance", s.A, s.D, Initial::semi_orthogonal(1));
  w.decay.bias = n.vector("w0", 2);
  n.factors(w.decay, "w", s.rank_decay);
  w.key = n.matrix("key", s.A, s.D, Initial::semi_orthogonal(0.1));
  w.value = n.matrix("value", s.A, s.D, Initial::semi_orthogonal(1));
  w.rate.bias = n.vector("a0");
  n.factors(w.rate, "a", s.rank_rate);
  n.factors(w.gate, "g", s.rank_gate);
  w.decay.kind = HiddenKind::tanh;
  w.gate.kind = HiddenKind::sigmoid;
  if (is_first_layer) return w;
  w.value_residual.bias = n.vector("v0");
  n.factors(w.value_residual, "v", s.rank_value);
  return w;
}

// What the products read.
struct Inputs {
  Tensor r, k, v;                            // (B, T, D)  shifted
  Tensor decay, rate, gate, value_residual;  // the same, or, joined, hidden rows (B, T, R)
};

Inputs inputs_of(Forward& f, const Tensor& x, const Tensor& previous, const Weights& w) {
  if (f.tape.options().low_rank == LowRankForm::separate) {
    const auto x_m =
        token_shift(f, x, previous, {w.x_r, w.decay.mix, w.x_k, w.x_v, w.rate.mix, w.gate.mix});
    return {.r = x_m[0],
            .k = x_m[2],
            .v = x_m[3],
            .decay = x_m[1],
            .rate = x_m[4],
            .gate = x_m[5],
            .value_residual = x_m[3]};
  }
  std::vector<LowRankMap> maps{w.decay, w.rate, w.gate};
  if (w.value_residual.first.exists()) maps.push_back(w.value_residual);
  const auto x_m = token_shift(f, x, previous, {w.x_r, w.x_k, w.x_v});
  auto hidden = joined_hidden(f, x, previous, maps);
  hidden.resize(4);  // of layer 0 the last one is absent
  return {.r = x_m[0],
          .k = x_m[1],
          .v = x_m[2],
          .decay = hidden[0],
          .rate = hidden[1],
          .gate = hidden[2],
          .value_residual = hidden[3]};
}

// bias + act(x_m first) second
Tensor low_rank(Tape& tape, const Tensor& input, const LowRankMap& map) {
  const bool is_joined = tape.options().low_rank == LowRankForm::joined;
  const Tensor hidden = is_joined ? input : hidden_of(tape, input, map);
  return project(tape, hidden, map.second, map.bias);
}

struct Operands {
  Tensor r, d, k, v, a, b;  // (B, T, H, N)
};

// v_raw becomes v in layer 0; later layers mix the first layer's values in.
void mix_operands(const Names& n, Operands& o, const Tensor& k_raw, const Tensor& v_raw,
                  const Tensor& v_first, const Tensor& rate_logit, const Tensor& value_logit) {
  Tape& tape = n.f.tape;
  const std::int64_t R = k_raw.size() / n.shape.A;
  const Tensor k_k = n.vector("k_k"), k_a = n.vector("k_a");
  const Tensor inverse_norm = tape.statistic({R, n.shape.H});
  const bool first = !v_first.exists();
  o.k = tape.activation(k_raw.shape);
  o.a = tape.activation(k_raw.shape);
  o.b = tape.activation(k_raw.shape);
  o.v = first ? v_raw : tape.activation(v_raw.shape);
  const auto later = [first](const Tensor& tensor) { return first ? Tensor{} : tensor; };
  tape.run(TimeMixOperandsForward{.k = o.k,
                                  .v = later(o.v),
                                  .a = o.a,
                                  .b = o.b,
                                  .inverse_norm = inverse_norm,
                                  .k_raw = k_raw,
                                  .v_raw = later(v_raw),
                                  .v_first = v_first,
                                  .value_logit = value_logit,
                                  .rate_logit = rate_logit,
                                  .k_k = k_k,
                                  .k_a = k_a});
  tape.on_backward([=, &tape] {
    const auto gradient = [&](const Tensor& x) { return first ? Tensor{} : tape.gradient(x); };
    tape.run(TimeMixOperandsBackward{.dk_raw = tape.gradient(k_raw),
                                     .dv_raw = gradient(v_raw),
                                     .dv_first = gradient(v_first),
                                     .dvalue_logit = gradient(value_logit),
                                     .drate_logit = tape.gradient(rate_logit),
                                     .dk_k = tape.gradient(k_k),
                                     .dk_a = tape.gradient(k_a),
                                     .dk = tape.gradient(o.k),
                                     .dv = gradient(o.v),
                                     .da = tape.gradient(o.a),
                                     .db = tape.gradient(o.b),
                                     .inverse_norm = inverse_norm,
                                     .k_raw = k_raw,
                                     .v_raw = later(v_raw),
                                     .v_first = v_first,
                                     .value_logit = value_logit,
                                     .rate_logit = rate_logit,
                                     .k_k = k_k,
                                     .k_a = k_a});
  });
}

// Products on tensor cores where the GPU's kernels have them for this model.
bool takes_chunked_form(const TapeOptions& options, std::int64_t head_size) {
  const bool can =
      options.device == Device::cuda && options.bf16_storage && head_size == wkv7_chunked_head;
  if (options.wkv == WkvForm::chunked && options.device == Device::cuda && !can)
    throw Error(
        fmt::format(
            "training.wkv: chunked is for activations in bf16 and heads of {} channels; set "
            "training.precision: bf16 and head_size: {}, or use auto",
            wkv7_chunked_head, wkv7_chunked_head),
        ExitCode::usage);
  return can && options.wkv != WkvForm::scan;
}

StateRead room_for_read(const Names& n, const Shape& heads) {
  const Shape read{heads[0], heads[1], n.shape.read_heads, n.shape.N};
  return {
      .q = n.f.tape.activation(read),
      .e = n.f.tape.activation(read),
      .read = n.f.config.read_state == ReadState::previous ? WkvRead::previous : WkvRead::current};
}

// The scan; its backward is ONE reverse scan, whoever read the state.
Tensor scan(const Names& n, const Operands& o, TimeMix& mix) {
  Tape& tape = n.f.tape;
  const Shape shape = o.r.shape;
  const std::int64_t B = shape[0], T = shape[1], H = n.shape.H, N = n.shape.N;
  const Tensor y = tape.activation(shape);
  const bool read_again = n.shape.read_heads > 0 && n.f.config.read_out == ReadOut::state;
  const bool keep = tape.options().training || read_again;
  const bool chunked = mix.chunked = takes_chunked_form(tape.options(), N);
  if (keep) {
    mix.u = tape.activation(shape);
    mix.checkpoints = tape.statistic({B, H, wkv7_saved_states(T, chunked), N, N});
  }
  if (read_again) mix.state_read = room_for_read(n, shape);
  Tape::Carried state;
  if (n.f.carry_state) state = tape.carried(n.prefix + "state", {B, H, N, N});
  tape.run(Wkv7Forward{.y = y,
                       .u = mix.u,
                       .checkpoints = mix.checkpoints,
                       .final_state = state.after,
                       .r = o.r,
                       .d = o.d,
                       .k = o.k,
                       .v = o.v,
                       .a = o.a,
                       .b = o.b,
                       .initial_state = state.before,
                       .chunked = chunked});
  tape.on_backward(
      [=, &tape, u = mix.u, checkpoints = mix.checkpoints, state_read = mix.state_read] {
        const auto& [q, e, which] = state_read;
        const bool read = e.exists() && tape.has_gradient(e);
        tape.run(Wkv7Backward{.dr = tape.gradient(o.r),
                              .dd = tape.gradient(o.d),
                              .dk = tape.gradient(o.k),
                              .dv = tape.gradient(o.v),
                              .da = tape.gradient(o.a),
                              .db = tape.gradient(o.b),
                              .dy = tape.gradient(y),
                              .q = read ? q : Tensor{},
                              .de = read ? tape.gradient(e) : Tensor{},
                              .r = o.r,
                              .d = o.d,
                              .k = o.k,
                              .v = o.v,
                              .a = o.a,
                              .b = o.b,
                              .u = u,
                              .checkpoints = checkpoints,
                              .read = which,
                              .chunked = chunked});
      });
  return y;
}

// (GroupNorm(y) weight + bias + bonus v) * gate
Tensor normalise_and_gate(const Names& n, const Operands& o, const Tensor& y, const Tensor& gate,
                          TimeMix& mix) {
  Tape& tape = n.f.tape;
  const std::int64_t H = n.shape.H, N = n.shape.N, R = gate.size() / n.shape.A;
  const Tensor weight =
      n.f.parameter(n.prefix + "ln_x.weight", {n.shape.A}, n.initial.vector("ln_x"));
  const Tensor bias = n.f.parameter(n.prefix + "ln_x.bias", {n.shape.A}, Initial::constant(0));
  const Tensor bonus = n.f.parameter(n.prefix + "r_k", {H, N}, Initial::constant(-0.04));
  const Tensor out = tape.activation(gate.shape), scale = tape.statistic({R, H});
  const Tensor yhat = mix.yhat = tape.activation(y.shape);
  tape.run(TimeMixOutputForward{.out = out,
                                .yhat = yhat,
                                .scale = scale,
                                .y = y,
                                .r = o.r,
                                .k = o.k,
                                .v = o.v,
                                .gate = gate,
                                .weight = weight,
                                .bias = bias,
                                .bonus = bonus});
  tape.on_backward([=, &tape] {
    tape.run(
        TimeMixOutputBackward{.dy = tape.gradient(y),
                              .dr = tape.gradient(o.r),
                              .dk = tape.gradient(o.k),
                              .dv = tape.gradient(o.v),
                              .dgate = tape.gradient(gate),
                              .dweight = tape.gradient(weight),
                              .dbias = tape.gradient(bias),
                              .dbonus = tape.gradient(bonus),
                              .dout = tape.gradient(out),
                              .dyhat = tape.has_gradient(yhat) ? tape.gradient(yhat) : Tensor{},
                              .yhat = yhat,
                              .scale = scale,
                              .r = o.r,
                              .k = o.k,
                              .v = o.v,
                              .gate = gate,
                              .weight = weight,
                              .bias = bias,
                              .bonus = bonus});
  });
  return out;
}

}  // namespace

Tensor token_before(Forward& f, const std::string& name, const Tensor& x) {
  if (!f.carry_state) return {};
  const auto state = f.tape.carried(name, {x.shape[0], x.shape[2]});
  f.tape.run(LastToken{.y = state.after, .x = x});
  return state.before;
}

std::vector<Tensor> token_shift(Forward& f, const Tensor& x, const Tensor& previous,
                                const std::vector<Tensor>& mixes) {
  TokenShiftForward op{.x = x, .mixes = int(mixes.size())};
  op.previous = previous;
  op.first = f.first_positions;
  std::vector<Tensor> shifted;
  for (std::size_t m = 0; m < mixes.size(); ++m) {
    shifted.push_back(f.tape.activation(x.shape));
    op.y[m] = shifted[m];
    op.mix[m] = mixes[m];
  }
  f.tape.run(op);
  f.tape.on_backward([&tape = f.tape, x, mixes, shifted, previous, first = f.first_positions] {
    TokenShiftBackward back{.dx = tape.gradient(x), .x = x, .mixes = int(mixes.size())};
    back.previous = previous;
    back.first = first;
    for (std::size_t m = 0; m < mixes.size(); ++m) {
      back.dmix[m] = tape.gradient(mixes[m]);
      back.dy[m] = tape.gradient(shifted[m]);
      back.mix[m] = mixes[m];
    }
    tape.run(back);
  });
  return shifted;
}

TimeMix time_mix(Forward& f, std::int64_t layer, const Tensor& x, const Tensor& v_first) {
  const Names n{f, concat("blocks.", layer, ".att."), recurrent_shape(f.config),
                TimeMixInitial(f.config, layer)};
  const auto& s = n.shape;
  Tape& tape = f.tape;
  const Shape heads{x.shape[0], x.shape[1], s.H, s.N};
  TimeMix mix;

  const Weights w = weights_of(n, !v_first.exists());
  const Inputs in = inputs_of(f, x, token_before(f, n.prefix + "x", x), w);

  Operands o;
  o.r = linear(tape, in.r, w.receptance);
  o.d = low_rank(tape, in.decay, w.decay);
  const Tensor k_raw = linear(tape, in.k, w.key);
  const Tensor v_raw = linear(tape, in.v, w.value);
  const Tensor rate_logit = low_rank(tape, in.rate, w.rate);
  const Tensor gate = low_rank(tape, in.gate, w.gate);
  Tensor value_logit;
  if (v_first.exists()) value_logit = low_rank(tape, in.value_residual, w.value_residual);
  mix_operands(n, o, k_raw, v_raw, v_first, rate_logit, value_logit);
  if (f.config.doubled_rate) o.b = doubled(tape, o.b);
  mix.v_first = v_first.exists() ? v_first : o.v;
  if (f.first_positions.exists()) {  // the state is forgotten where d is infinite and a is 0
    o.d = reset(tape, o.d, f.first_positions, std::numeric_limits<double>::infinity());
    o.a = reset(tape, o.a, f.first_positions, 0);
  }

  for (Tensor* tensor : {&o.r, &o.d, &o.k, &o.v, &o.a, &o.b}) *tensor = tensor->reshaped(heads);
  mix.d = o.d, mix.k = o.k, mix.v = o.v, mix.b = o.b;
  const Tensor y = scan(n, o, mix);
  const Tensor gated = normalise_and_gate(n, o, y, gate, mix);
  mix.out = linear(tape, gated, n.matrix("output", s.D, s.A, Initial::constant(0)));
  return mix;
}

}  // namespace metascale
