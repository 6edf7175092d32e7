// Layers that every architecture uses. Each records its forward and its backward on the tape.
#pragma once

#include "experiments/tape.hpp"
#include "kernels/elementwise.hpp"

namespace metascale {

// Runs a matrix product, or an operator made of some, with bf16 operands where the run asks for
// them.
template <typename Op>
void run_rounded(Tape& tape, Op op) {
  op.bf16 = tape.options().bf16;
  if (const auto elements = op.bf16 ? op.scratch_elements() : 0; elements > 0)
    op.scratch = tape.scratch({elements}, Dtype::bf16);
  tape.run(op);
}

// y = x weight^T + bias.  x (..., K), weight (M, K), bias (M) optional; y (..., M)
Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias = {});
// y = x weight + bias: the low-rank factors of RWKV-7 are stored [in, out].  weight (K, M)
Tensor project(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// tokens (B, T) i32, weight (V, D); y (B, T, D)
Tensor embed(Tape& tape, const Tensor& tokens, const Tensor& weight);

// The residual stream. What is added to it waits for the norm that reads the sum: that makes both
// in one pass, with the bits of `add` and a norm of its result.
struct Residual {
  Tensor x;
  Tensor branch, second_branch;  // still to be added

  // x <- x + out. Nothing else may read it.
  Residual& operator+=(const Tensor& out);
};

// x becomes its sum.
Tensor layer_norm(Tape& tape, Residual& x, const Tensor& weight, const Tensor& bias,
                  double epsilon = 1e-5);
Tensor rms_norm(Tape& tape, Residual& x, const Tensor& weight, double epsilon = 1e-5);
// Of a block that leaves x. Where blocks are recomputed x becomes its sum here: that is all that is
// kept of a block.
void end_block(Tape& tape, Residual& x);
// Each head's N channels to mean 0 and variance 1.  x (B, T, H, N)
Tensor head_norm(Tape& tape, const Tensor& x, double epsilon);

Tensor activation(Tape& tape, const Tensor& x, ActivationKind kind);
// silu(gate) * up
Tensor swiglu(Tape& tape, const Tensor& gate, const Tensor& up);

// x + branch (+ branch). A branch must be read by this sum alone.
Tensor add(Tape& tape, const Tensor& x, const Tensor& branch, const Tensor& second_branch = {});

// x (B, T, ...), with value in the place of documents' first tokens. first (B, T) i32
Tensor reset(Tape& tape, const Tensor& x, const Tensor& first, double value);

Tensor doubled(Tape& tape, const Tensor& x);  // 2 x, exactly

// nats of each row (B, T). Training: also the gradients of sum(scales * losses).
// hidden (B, T, D), head (V, D), targets (B, T) i32, scales (B, T)
Tensor classifier(Tape& tape, const Tensor& hidden, const Tensor& head, const Tensor& targets,
                  const Tensor& scales);

}  // namespace metascale
