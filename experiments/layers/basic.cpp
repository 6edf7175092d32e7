#include "experiments/layers/basic.hpp"

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/matmul.hpp"
#include "kernels/norm.hpp"
#include "kernels/reset.hpp"

namespace metascale {
namespace {

Shape with_last(Shape shape, std::int64_t extent) {
  shape.extents[std::size_t(shape.rank - 1)] = extent;
  return shape;
}
Shape without_last(Shape shape) {
  shape.extents[std::size_t(--shape.rank)] = 1;
  return shape;
}
std::int64_t last(const Tensor& x) { return x.shape[x.shape.rank - 1]; }
std::int64_t rows_of(const Tensor& x) { return x.size() / last(x); }

Tensor product(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias,
               bool transposed) {
  const Tensor y = tape.activation(with_last(x.shape, weight.shape[transposed ? 0 : 1]));
  const Tensor operand = tape.operand(weight);
  run_rounded(tape, Matmul{.c = y, .a = x, .b = operand, .bias = bias, .transpose_b = transposed});
  tape.on_backward([&tape, x, weight, operand, bias, y, transposed] {
    const Tensor dy = tape.gradient(y);
    run_rounded(
        tape,
        Matmul{
            .c = tape.gradient(x), .a = dy, .b = operand, .transpose_b = !transposed, .add = true});
    run_rounded(tape, Matmul{.c = tape.gradient(weight),
                             .a = transposed ? dy : x,
                             .b = transposed ? x : dy,
                             .transpose_a = true,
                             .add = true});
    if (bias.exists()) tape.run(ColumnSum{.dbias = tape.gradient(bias), .dy = dy});
  });
  return y;
}

struct Summands {
  Tensor sum;  // absent where x is all
  Tensor x, branch, second_branch;
};

// Branches share the gradient of the sum.
void share_backward(Tape& tape, const Summands& of) {
  tape.on_backward([&tape, of] {
    tape.share_gradient(of.branch, of.sum);
    if (of.second_branch.exists()) tape.share_gradient(of.second_branch, of.sum);
    tape.run(Accumulate{.dx = tape.gradient(of.x), .dy = tape.gradient(of.sum)});
  });
}

// x becomes its sum, which the caller makes.
Summands taken_from(Tape& tape, Residual& x) {
  if (!x.branch.exists()) return {.x = x.x};
  const Summands taken{.sum = tape.activation(x.x.shape),
                       .x = x.x,
                       .branch = x.branch,
                       .second_branch = x.second_branch};
  share_backward(tape, taken);
  x = {taken.sum};
  return taken;
}

}  // namespace

Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return product(tape, x, weight, bias, true);
}

Tensor project(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return product(tape, x, weight, bias, false);
}

Tensor embed(Tape& tape, const Tensor& tokens, const Tensor& weight) {
  const Tensor y = tape.activation({tokens.shape[0], tokens.shape[1], weight.shape[1]});
  tape.run(EmbeddingForward{.y = y, .tokens = tokens, .weight = weight});
  tape.on_backward([&tape, tokens, weight, y] {
    tape.run(EmbeddingBackward{
        .dweight = tape.gradient(weight), .dy = tape.gradient(y), .tokens = tokens});
  });
  return y;
}

Residual& Residual::operator+=(const Tensor& out) {
  Tensor& place = branch.exists() ? second_branch : branch;
  if (place.exists()) throw Error("a residual sum has three summands at most");
  place = out;
  return *this;
}

Tensor layer_norm(Tape& tape, Residual& x, const Tensor& weight, const Tensor& bias,
                  double epsilon) {
  const Summands from = taken_from(tape, x);
  const Tensor sum = x.x, y = tape.activation(sum.shape), mean = tape.statistic({rows_of(sum)}),
               scale = tape.statistic({rows_of(sum)});
  tape.run(LayerNormForward{.y = y,
                            .mean = mean,
                            .scale = scale,
                            .sum = from.sum,
                            .x = from.x,
                            .branch = from.branch,
                            .second_branch = from.second_branch,
                            .weight = weight,
                            .bias = bias,
                            .epsilon = epsilon});
  tape.on_backward([&tape, sum, weight, bias, y, mean, scale] {
    tape.run(LayerNormBackward{.dx = tape.gradient(sum),
                               .dweight = tape.gradient(weight),
                               .dbias = tape.gradient(bias),
                               .dy = tape.gradient(y),
                               .x = sum,
                               .weight = weight,
                               .mean = mean,
                               .scale = scale});
  });
  return y;
}

Tensor rms_norm(Tape& tape, Residual& x, const Tensor& weight, double epsilon) {
  const Summands from = taken_from(tape, x);
  const Tensor sum = x.x, y = tape.activation(sum.shape), scale = tape.statistic({rows_of(sum)});
  tape.run(RmsNormForward{.y = y,
                          .scale = scale,
                          .sum = from.sum,
                          .x = from.x,
                          .branch = from.branch,
                          .second_branch = from.second_branch,
                          .weight = weight,
                          .epsilon = epsilon});
  tape.on_backward([&tape, sum, weight, y, scale] {
    tape.run(RmsNormBackward{.dx = tape.gradient(sum),
                             .dweight = tape.gradient(weight),
                             .dy = tape.gradient(y),
                             .x = sum,
                             .weight = weight,
                             .scale = scale});
  });
  return y;
}

void end_block(Tape& tape, Residual& x) {
  if (tape.options().recompute == Recompute::block && x.branch.exists())
    x = {add(tape, x.x, x.branch, x.second_branch)};
  tape.end_block();
}

Tensor head_norm(Tape& tape, const Tensor& x, double epsilon) {
  const Tensor y = tape.activation(x.shape), scale = tape.statistic(without_last(x.shape));
  tape.run(HeadNormForward{.y = y, .scale = scale, .x = x, .epsilon = epsilon});
  tape.on_backward([&tape, x, y, scale] {
    tape.run(
        HeadNormBackward{.dx = tape.gradient(x), .dy = tape.gradient(y), .y = y, .scale = scale});
  });
  return y;
}

Tensor activation(Tape& tape, const Tensor& x, ActivationKind kind) {
  const Tensor y = tape.activation(x.shape);
  tape.run(ActivationForward{.y = y, .x = x, .kind = kind});
  tape.on_backward([&tape, x, y, kind] {
    tape.run(
        ActivationBackward{.dx = tape.gradient(x), .dy = tape.gradient(y), .x = x, .kind = kind});
  });
  return y;
}

Tensor swiglu(Tape& tape, const Tensor& gate, const Tensor& up) {
  const Tensor y = tape.activation(gate.shape);
  tape.run(SwigluForward{.y = y, .gate = gate, .up = up});
  tape.on_backward([&tape, gate, up, y] {
    tape.run(SwigluBackward{.dgate = tape.gradient(gate),
                            .dup = tape.gradient(up),
                            .dy = tape.gradient(y),
                            .gate = gate,
                            .up = up});
  });
  return y;
}

Tensor add(Tape& tape, const Tensor& x, const Tensor& branch, const Tensor& second_branch) {
  const Tensor y = tape.activation(x.shape);
  tape.run(AddForward{.y = y, .a = x, .b = branch, .c = second_branch});
  share_backward(tape, {.sum = y, .x = x, .branch = branch, .second_branch = second_branch});
  return y;
}

Tensor reset(Tape& tape, const Tensor& x, const Tensor& first, double value) {
  const Tensor y = tape.activation(x.shape);
  tape.run(ResetForward{.y = y, .x = x, .first = first, .value = value});
  tape.on_backward([&tape, x, y, first] {
    tape.run(ResetBackward{.dx = tape.gradient(x), .dy = tape.gradient(y), .first = first});
  });
  return y;
}

Tensor doubled(Tape& tape, const Tensor& x) {
  const Tensor y = tape.activation(x.shape);
  tape.run(AddForward{.y = y, .a = x, .b = x});
  tape.on_backward([&tape, x, y] {
    for (int summand = 0; summand < 2; ++summand)
      tape.run(Accumulate{.dx = tape.gradient(x), .dy = tape.gradient(y)});
  });
  return y;
}

Tensor classifier(Tape& tape, const Tensor& hidden, const Tensor& head, const Tensor& targets,
                  const Tensor& scales) {
  const std::int64_t R = rows_of(hidden), V = head.shape[0];
  const Tensor losses = tape.statistic(targets.shape);
  tape.keep(losses);
  const Tensor logits =
      tape.scratch({classifier_chunk(R, V, tape.options().device), V}, tape.dtype());
  if (tape.options().training)  // forward and backward at once, so that logits are made only once
    run_rounded(tape, ClassifierLossAndGradients{.losses = losses,
                                                 .dx = tape.gradient(hidden),
                                                 .dweight = tape.gradient(head),
                                                 .x = hidden,
                                                 .weight = tape.operand(head),
                                                 .targets = targets,
                                                 .scales = scales,
                                                 .logits = logits});
  else
    run_rounded(tape, ClassifierLoss{.losses = losses,
                                     .x = hidden,
                                     .weight = tape.operand(head),
                                     .targets = targets,
                                     .logits = logits});
  return losses;
}

}  // namespace metascale
