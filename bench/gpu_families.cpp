// The operators of every family at given sizes: forward, then what their backward reads of it.
#include <algorithm>
#include <cmath>

#include "bench/gpu_cases.hpp"
#include "kernels/attention.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/embedding.hpp"
#include "kernels/matmul.hpp"
#include "kernels/norm.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/rotary.hpp"
#include "kernels/self_state.hpp"
#include "kernels/time_mix.hpp"
#include "kernels/token_shift.hpp"
#include "kernels/wkv7.hpp"

namespace metascale::bench {
namespace {

void matmuls(Case& to, const Sizes& s) {
  const std::int64_t R = s.R(), D = s.D(), F = 4 * s.D();
  const Tensor x = to.random({R, D}), dy = to.random({R, F}), bias = to.parameter({F});
  const Tensor weight = to.random({F, D}, 0.1);
  const auto add = [&](const char* name, Matmul op) {
    op.bf16 = to.bf16();
    to.add(name, op);
  };
  add("matmul y", {.c = to.output({R, F}), .a = x, .b = weight, .transpose_b = true});
  add("matmul y + bias",
      {.c = to.output({R, F}), .a = x, .b = weight, .bias = bias, .transpose_b = true});
  add("matmul dx", {.c = to.gradient({R, D}), .a = dy, .b = weight, .add = true});
  add("matmul dW",
      {.c = to.parameter_gradient({F, D}), .a = dy, .b = x, .transpose_a = true, .add = true});
  to.add("column sum", ColumnSum{.dbias = to.parameter_gradient({F}), .dy = dy});
}

void classifiers(Case& to, const Sizes& s) {
  const std::int64_t R = s.R(), D = s.D(), V = s.V, C = classifier_chunk(R, V, to.device());
  ClassifierLoss loss{.losses = to.statistic({R}),
                      .x = to.random({R, D}),
                      .weight = to.random({V, D}, 0.1),
                      .targets = to.indices({R}, V),
                      .logits = to.output({C, V}),
                      .bf16 = to.bf16()};
  ClassifierLossAndGradients both{.losses = to.statistic({R}),
                                  .dx = to.gradient({R, D}),
                                  .dweight = to.parameter_gradient({V, D}),
                                  .x = loss.x,
                                  .weight = loss.weight,
                                  .targets = loss.targets,
                                  .scales = to.parameter({R}, 0.5, 1),
                                  .logits = loss.logits,
                                  .bf16 = to.bf16()};
  if (to.bf16())
    loss.scratch = both.scratch =
        to.allocated({std::max<std::int64_t>(both.scratch_elements(), 1)}, Dtype::bf16);
  to.add("classifier loss", loss);
  to.add("classifier loss, gradients", both);
}

void attentions(Case& to, const Sizes& s) {
  const Shape shape{s.B, s.T, s.H, s.N};
  const double scale = 1 / std::sqrt(double(s.N));
  const AttentionForward forward{.y = to.output(shape),
                                 .lse = to.statistic({s.B, s.H, s.T}),
                                 .q = to.random(shape, 2),
                                 .k = to.random(shape, 2),
                                 .v = to.random(shape),
                                 .scale = scale};
  to.add("attention forward", forward);
  to.add("attention backward", AttentionBackward{.dq = to.gradient(shape),
                                                 .dk = to.gradient(shape),
                                                 .dv = to.gradient(shape),
                                                 .dy = to.random(shape),
                                                 .y = forward.y,
                                                 .lse = forward.lse,
                                                 .q = forward.q,
                                                 .k = forward.k,
                                                 .v = forward.v,
                                                 .scale = scale});
}

void wkv7s(Case& to, const Sizes& s) {
  const Shape shape{s.B, s.T, s.H, s.N};
  const Shape states{s.B, s.H, (s.T + wkv7_checkpoint - 1) / wkv7_checkpoint, s.N, s.N};
  const auto x = [&](double scale = 1) { return to.random(shape, scale); };
  const double small = 0.1;
  const Wkv7Forward f{.y = to.output(shape),
                      .u = to.output(shape),
                      .checkpoints = to.statistic(states),
                      .r = x(),
                      .d = x(),
                      .k = x(small),
                      .v = x(),
                      .a = x(small),
                      .b = x(small)};
  to.add("wkv7 forward", f);
  const Tensor q = x(small), de = x();
  to.add("wkv7 read-out", Wkv7ReadOut{.e = to.output(shape),
                                      .q = q,
                                      .d = f.d,
                                      .k = f.k,
                                      .v = f.v,
                                      .b = f.b,
                                      .u = f.u,
                                      .checkpoints = f.checkpoints});
  to.add("wkv7 query backward", Wkv7QueryBackward{.dq = to.gradient(shape),
                                                  .de = de,
                                                  .d = f.d,
                                                  .k = f.k,
                                                  .v = f.v,
                                                  .b = f.b,
                                                  .u = f.u,
                                                  .checkpoints = f.checkpoints});
  Wkv7Backward b{.dr = to.gradient(shape),
                 .dd = to.gradient(shape),
                 .dk = to.gradient(shape),
                 .dv = to.gradient(shape),
                 .da = to.gradient(shape),
                 .db = to.gradient(shape),
                 .dy = x(),
                 .r = f.r,
                 .d = f.d,
                 .k = f.k,
                 .v = f.v,
                 .a = f.a,
                 .b = f.b,
                 .u = f.u,
                 .checkpoints = f.checkpoints};
  to.add("wkv7 backward", b);
  b.q = q;
  b.de = de;
  to.add("wkv7 backward, both", b);
}

void norms(Case& to, const Sizes& s) {
  const Shape rows{s.R(), s.D()}, heads{s.R(), s.H, s.N};
  const Tensor x = to.random(rows, 2, 1), dy = to.random(rows);
  const Tensor weight = to.parameter({s.D()}, 0.5, 1), bias = to.parameter({s.D()});
  const auto gradient = [&] { return to.parameter_gradient({s.D()}); };
  const LayerNormForward layer{.y = to.output(rows),
                               .mean = to.statistic({s.R()}),
                               .scale = to.statistic({s.R()}),
                               .x = x,
                               .weight = weight,
                               .bias = bias};
  to.add("layer norm forward", layer);
  to.add("layer norm backward", LayerNormBackward{.dx = to.gradient(rows),
                                                  .dweight = gradient(),
                                                  .dbias = gradient(),
                                                  .dy = dy,
                                                  .x = x,
                                                  .weight = weight,
                                                  .mean = layer.mean,
                                                  .scale = layer.scale});
  const RmsNormForward rms{
      .y = to.output(rows), .scale = to.statistic({s.R()}), .x = x, .weight = weight};
  to.add("rms norm forward", rms);
  to.add("rms norm backward", RmsNormBackward{.dx = to.gradient(rows),
                                              .dweight = gradient(),
                                              .dy = dy,
                                              .x = x,
                                              .weight = weight,
                                              .scale = rms.scale});
  const HeadNormForward head{
      .y = to.output(heads), .scale = to.statistic({s.R(), s.H}), .x = x.reshaped(heads)};
  to.add("head norm forward", head);
  to.add("head norm backward",
         HeadNormBackward{
             .dx = to.gradient(heads), .dy = dy.reshaped(heads), .y = head.y, .scale = head.scale});
}

void chains(Case& to, const Sizes& s) {
  const Shape rows{s.R(), s.D()}, heads{s.R(), s.H, s.N}, channels{s.D()};
  const auto x = [&](Shape shape) { return to.random(shape); };
  const auto g = [&](Shape shape) { return to.gradient(shape); };
  const auto pg = [&](Shape shape) { return to.parameter_gradient(shape); };
  const TimeMixOperandsForward f{.k = to.output(rows),
                                 .v = to.output(rows),
                                 .a = to.output(rows),
                                 .b = to.output(rows),
                                 .inverse_norm = to.statistic({s.R(), s.H}),
                                 .k_raw = x(rows),
                                 .v_raw = x(rows),
                                 .v_first = x(rows),
                                 .value_logit = x(rows),
                                 .rate_logit = x(rows),
                                 .k_k = to.parameter(channels, 0.3, 0.7),
                                 .k_a = to.parameter(channels, 0.2, 1)};
  to.add("time mix operands forward", f);
  to.add("time mix operands backward", TimeMixOperandsBackward{.dk_raw = g(rows),
                                                               .dv_raw = g(rows),
                                                               .dv_first = g(rows),
                                                               .dvalue_logit = g(rows),
                                                               .drate_logit = g(rows),
                                                               .dk_k = pg(channels),
                                                               .dk_a = pg(channels),
                                                               .dk = x(rows),
                                                               .dv = x(rows),
                                                               .da = x(rows),
                                                               .db = x(rows),
                                                               .inverse_norm = f.inverse_norm,
                                                               .k_raw = f.k_raw,
                                                               .v_raw = f.v_raw,
                                                               .v_first = f.v_first,
                                                               .value_logit = f.value_logit,
                                                               .rate_logit = f.rate_logit,
                                                               .k_k = f.k_k,
                                                               .k_a = f.k_a});
  const TimeMixOutputForward o{.out = to.output(rows),
                               .yhat = to.output(heads),
                               .scale = to.statistic({s.R(), s.H}),
                               .y = to.random(heads, 2, 1),
                               .r = x(heads),
                               .k = x(heads),
                               .v = x(heads),
                               .gate = x(rows),
                               .weight = to.parameter(channels, 0.5, 1),
                               .bias = to.parameter(channels),
                               .bonus = to.parameter({s.H, s.N})};
  to.add("time mix output forward", o);
  to.add("time mix output backward", TimeMixOutputBackward{.dy = g(heads),
                                                           .dr = g(heads),
                                                           .dk = g(heads),
                                                           .dv = g(heads),
                                                           .dgate = g(rows),
                                                           .dweight = pg(channels),
                                                           .dbias = pg(channels),
                                                           .dbonus = pg({s.H, s.N}),
                                                           .dout = x(rows),
                                                           .yhat = o.yhat,
                                                           .scale = o.scale,
                                                           .r = o.r,
                                                           .k = o.k,
                                                           .v = o.v,
                                                           .gate = o.gate,
                                                           .weight = o.weight,
                                                           .bias = o.bias,
                                                           .bonus = o.bonus});
}

void self_states(Case& to, const Sizes& s) {
  const Shape rows{s.R(), s.D()}, heads{s.R(), s.H, s.N}, statistics{s.R(), s.H};
  const SelfStateQueryForward query{
      .q = to.output(heads), .inverse_norm = to.statistic(statistics), .c = to.random(rows)};
  to.add("self-state query forward", query);
  to.add("self-state query backward", SelfStateQueryBackward{.dc = to.gradient(rows),
                                                             .dq = to.random(heads),
                                                             .q = query.q,
                                                             .inverse_norm = query.inverse_norm});
  const SelfStateMixForward mix{.z = to.output(rows),
                                .c = to.random(rows),
                                .e = to.random(heads),
                                .gamma = to.parameter({s.H, s.N}, 0.5, 1)};
  to.add("self-state mix forward", mix);
  to.add("self-state mix backward",
         SelfStateMixBackward{.dc = to.gradient(rows),
                              .de = to.gradient(heads),
                              .dgamma = to.parameter_gradient({s.H, s.N}),
                              .dz = to.random(rows),
                              .e = mix.e,
                              .gamma = mix.gamma});
}

void token_shifts(Case& to, const Sizes& s) {
  const Shape shape{s.B, s.T, s.D()};
  TokenShiftForward forward{.x = to.random(shape), .mixes = max_mixes};
  TokenShiftBackward backward{.dx = to.gradient(shape), .x = forward.x, .mixes = max_mixes};
  for (std::size_t i = 0; i < std::size_t(max_mixes); ++i) {
    forward.y[i] = to.output(shape);
    forward.mix[i] = backward.mix[i] = to.parameter({s.D()}, 0.5, 0.5);
    backward.dy[i] = to.random(shape);
    backward.dmix[i] = to.parameter_gradient({s.D()});
  }
  to.add("token shift forward", forward);
  to.add("token shift backward", backward);
  to.add("last token", LastToken{.y = to.output({s.B, s.D()}), .x = forward.x});
}

void elements(Case& to, const Sizes& s) {
  const Shape shape{s.R(), 4 * s.D()};
  const Tensor x = to.random(shape), up = to.random(shape), dy = to.random(shape);
  to.add("relu^2 forward", ActivationForward{.y = to.output(shape), .x = x});
  to.add("relu^2 backward", ActivationBackward{.dx = to.gradient(shape), .dy = dy, .x = x});
  to.add("gelu forward",
         ActivationForward{.y = to.output(shape), .x = x, .kind = ActivationKind::gelu_tanh});
  to.add("gelu backward",
         ActivationBackward{
             .dx = to.gradient(shape), .dy = dy, .x = x, .kind = ActivationKind::gelu_tanh});
  to.add("swiglu forward", SwigluForward{.y = to.output(shape), .gate = x, .up = up});
  to.add(
      "swiglu backward",
      SwigluBackward{
          .dgate = to.gradient(shape), .dup = to.gradient(shape), .dy = dy, .gate = x, .up = up});
  to.add("add", AddForward{.y = to.output(shape), .a = x, .b = up});
  to.add("accumulate", Accumulate{.dx = to.gradient(shape), .dy = dy});
  to.add("fill", Fill{.x = to.output(shape), .value = 0.5});
  to.add("cast to f32", Cast{.y = to.statistic(shape), .x = x});
}

void positions(Case& to, const Sizes& s) {
  const Shape shape{s.B, s.T, s.H, s.N}, rows{s.R(), s.D()};
  to.add("rotary forward",
         RotaryForward{.y = to.output(shape), .x = to.random(shape), .rotated = s.N / 2 * 2});
  to.add("rotary backward",
         RotaryBackward{.dx = to.gradient(shape), .dy = to.random(shape), .rotated = s.N / 2 * 2});
  to.add("split heads forward", SplitHeadsForward{.q = to.output(shape),
                                                  .k = to.output(shape),
                                                  .v = to.output(shape),
                                                  .qkv = to.random({s.B, s.T, 3 * s.D()})});
  to.add("split heads backward", SplitHeadsBackward{.dqkv = to.gradient({s.B, s.T, 3 * s.D()}),
                                                    .dq = to.random(shape),
                                                    .dk = to.random(shape),
                                                    .dv = to.random(shape)});
  const Tensor tokens = to.indices({s.R()}, s.V);
  to.add(
      "embedding forward",
      EmbeddingForward{.y = to.output(rows), .tokens = tokens, .weight = to.random({s.V, s.D()})});
  to.add("embedding backward", EmbeddingBackward{.dweight = to.parameter_gradient({s.V, s.D()}),
                                                 .dy = to.random(rows),
                                                 .tokens = tokens});
}

void optimizers(Case& to, const Sizes& s) {
  const std::int64_t n = s.V * s.D();
  const Tensor gradients = to.parameter({n});
  to.add("sum of squares",
         SumOfSquares{.sum = to.allocated({1}, Dtype::f64),
                      .x = gradients,
                      .partials = to.allocated(
                          {(n + SumOfSquares::block - 1) / SumOfSquares::block}, Dtype::f64)});
  to.add("adamw", AdamW{.parameters = to.parameter({n}),
                        .m = to.parameter({n}, 0.1),
                        .v = to.parameter({n}, 0.1, 0.2),
                        .gradients = gradients,
                        .copy = to.allocated({n}, Dtype::bf16),
                        .rate = 1e-3,
                        .weight_decay = 0.1,
                        .time = 10});
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all{{"matmul", matmuls},
                                       {"classifier", classifiers},
                                       {"attention", attentions},
                                       {"wkv7", wkv7s},
                                       {"norm", norms},
                                       {"time mix", chains},
                                       {"self-state", self_states},
                                       {"token shift", token_shifts},
                                       {"elements", elements},
                                       {"positions", positions},
                                       {"optimizer", optimizers}};
  return all;
}

}  // namespace metascale::bench
