// The operators of every family at given sizes: forward, then what their backward reads of it.
#include <algorithm>

#include "kernels/cases/attention.hpp"
#include "kernels/cases/case.hpp"
#include "kernels/cases/elements.hpp"
#include "kernels/cases/heads.hpp"
#include "kernels/cases/low_rank.hpp"
#include "kernels/cases/norms.hpp"
#include "kernels/cases/parameters.hpp"
#include "kernels/cases/wkv7.hpp"

namespace metascale::cases {
namespace {

void matmuls(Case& to, const Sizes& s) {
  const std::int64_t R = s.R(), D = s.D(), F = 4 * s.D();
  const Tensor x = to.random({R, D}), dy = to.random({R, F}), bias = to.parameter({F});
  const Tensor weight = to.random({F, D}, 0.1);
  const auto add = [&](const char* name, Matmul op) {
    op.bf16 = to.bf16();
    if (const std::int64_t elements = op.scratch_elements(); elements > 0)
      op.scratch = to.output({elements}, Dtype::bf16);
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
  const std::int64_t chunk = classifier_chunk(s.R(), s.V, to.device());
  Classifier both(to, {s.R(), s.D(), s.V}, chunk, 0.1);
  if (to.bf16()) both.use_bf16(to);
  to.add("classifier loss", both.forward);
  to.add("classifier loss, gradients", both.backward);
}

void attentions(Case& to, const Sizes& s) {
  Attention both(to, {s.B, s.T, s.H, s.N});
  both.forward.bf16 = both.backward.bf16 = to.bf16();
  to.add_both("attention", both);
}

void add_wkv7(Case& to, const Sizes& s, const std::string& name, bool chunked) {
  Wkv7 all(to, {.B = s.B, .T = s.T, .H = s.H, .heads_read = s.H, .N = s.N, .chunked = chunked});
  all.leave_out_states();
  Wkv7Backward of_one = all.backward;
  of_one.q = of_one.de = {};
  to.add(name + " forward", all.forward);
  to.add(name + " read-out", all.read_out);
  to.add(name + " query backward", all.query_backward);
  to.add(name + " backward", of_one);
  to.add(name + " backward, both", all.backward);
}

// What the CPU tells the chunked form by is its scan.
void wkv7s(Case& to, const Sizes& s) {
  add_wkv7(to, s, "wkv7", false);
  if (to.storage() == Dtype::bf16 && s.N == wkv7_chunked_head)
    add_wkv7(to, s, "wkv7 chunked", to.device() == Device::cuda);
}

void norms(Case& to, const Sizes& s) {
  to.add_both("layer norm", LayerNorm(to, s.R(), s.D()));
  to.add_both("rms norm", RmsNorm(to, s.R(), s.D()));
  to.add("residual + layer norm forward", LayerNorm(to, s.R(), s.D(), 2).forward);
  to.add("residual + rms norm forward", RmsNorm(to, s.R(), s.D(), 2).forward);
  to.add_both("head norm", HeadNorm(to, s.R(), s.H, s.N));
}

void chains(Case& to, const Sizes& s) {
  to.add_both("time mix operands", TimeMixOperands(to, s.R(), s.H, s.N));
  TimeMixOutput output(to, s.R(), s.H, s.N);
  output.backward.dyhat = {};  // the model's default has no other reader of yhat
  to.add_both("time mix output", output);
}

void self_states(Case& to, const Sizes& s) {
  to.add_both("self-state query", SelfStateQuery(to, s.R(), s.H, s.H, s.N));
  to.add_both("self-state mix", SelfStateMix(to, s.R(), s.H, s.H, s.H, s.N));
}

// Where each token's document starts: at every 600th token of the batch's rows, one after the
// other, and at a row's first; or at every 16th, where rows are short.
Tensor first_positions(Case& to, const Sizes& s) {
  const std::int64_t length = s.T < 600 ? 16 : 600;
  std::vector<std::int32_t> first;
  for (std::int64_t i = 0; i < s.R(); ++i)
    first.push_back(std::int32_t(std::max<std::int64_t>(0, i / length * length - i / s.T * s.T)));
  return to.given({s.B, s.T}, Dtype::i32, first.data());
}

void token_shifts(Case& to, const Sizes& s) {
  const TokenShift shift(to, {s.B, s.T, s.D()}, max_mixes, false);
  to.add_both("token shift", shift);
  to.add("last token", LastToken{.y = to.output({s.B, s.D()}), .x = shift.forward.x});
  to.add_both("reset", Reset(to, {s.B, s.T, s.D()}, first_positions(to, s), 0));
}

void low_ranks(Case& to, const Sizes& s) {
  const Ranks ranks{64, 64, 128, 32};  // decay, rate, gate, value at D = 768
  to.add_both("join factors", JoinFactors(to, s.D(), ranks));
  to.add_both("split hidden", SplitHidden(to, {s.B, s.T}, ranks, false));
}

void elements(Case& to, const Sizes& s) {
  const Shape shape{s.R(), 4 * s.D()};
  to.add_both("relu^2", Activation(to, shape, ActivationKind::relu_squared));
  to.add_both("gelu", Activation(to, shape, ActivationKind::gelu_tanh));
  to.add_both("swiglu", Swiglu(to, shape));
  const Add add(to, shape, 2);
  to.add("add", add.forward);
  to.add("accumulate", add.backward);
  to.add("fill", Fill{.x = to.output(shape), .value = 0.5});
  to.add("cast to f32", Cast{.y = to.statistic(shape), .x = add.forward.a});
}

void positions(Case& to, const Sizes& s) {
  const Shape shape{s.B, s.T, s.H, s.N};
  to.add_both("rotary", Rotary(to, shape, s.N / 2 * 2));
  to.add_both("split heads", SplitHeads(to, shape));
  to.add_both("embedding", Embedding(to, s.R(), s.V, s.D()));
}

void optimizers(Case& to, const Sizes& s) {
  const std::int64_t n = s.V * s.D();
  to.add("sum of squares", Squares(to, n).forward);
  AdamStep step(to, n, 10);
  step.forward.copy = to.output({n}, Dtype::bf16);
  to.add("adamw", step.forward);
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
                                       {"low rank", low_ranks},
                                       {"elements", elements},
                                       {"positions", positions},
                                       {"optimizer", optimizers}};
  return all;
}

}  // namespace metascale::cases
