// One output element from the same element of each input.
#pragma once

#include "kernels/queue.hpp"
#include "kernels/rounding.hpp"

namespace metascale {

enum class ActivationKind {
  relu_squared,  // max(x, 0)^2                                   [Primer, So et al. 2021]
  gelu_tanh,     // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) [Hendrycks & Gimpel 2016]
  gelu_erf,      // x/2 (1 + erf(x / sqrt(2)))
  tanh,
  sigmoid
};

struct ActivationForward {
  Tensor y;  // any shape
  Tensor x;  // the shape of y
  ActivationKind kind = ActivationKind::relu_squared;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("x", op.x, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// dx += dy f'(x)
struct ActivationBackward {
  Tensor dx;
  Tensor dy;
  Tensor x;  // the input of the forward
  ActivationKind kind = ActivationKind::relu_squared;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
    visit("x", op.x, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// SwiGLU [Shazeer 2020]:  y = silu(gate) up,  silu(u) = u sigma(u)
struct SwigluForward {
  Tensor y;
  Tensor gate;
  Tensor up;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("gate", op.gate, Use::read);
    visit("up", op.up, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SwigluBackward {
  Tensor dgate;
  Tensor dup;
  Tensor dy;
  Tensor gate;
  Tensor up;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dgate", op.dgate, Use::add);
    visit("dup", op.dup, Use::add);
    visit("dy", op.dy, Use::read);
    visit("gate", op.gate, Use::read);
    visit("up", op.up, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// y = a + b (+ c)
struct AddForward {
  Tensor y;
  Tensor a;
  Tensor b;
  Tensor c;  // optional

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("a", op.a, Use::read);
    visit("b", op.b, Use::read);
    visit("c", op.c, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// dx += dy: the backward of a sum, once per summand.
struct Accumulate {
  Tensor dx;
  Tensor dy;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// x = value everywhere (f32, f64).
struct Fill {
  Tensor x;
  double value = 0;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) { visit("x", op.x, Use::write); }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// y = x in another dtype; f32 to bf16 rounds to nearest, ties to even, or as `rounding` says.
struct Cast {
  Tensor y;
  Tensor x;
  Rounding rounding;  // stochastic: f32 to bf16 only

  static bool takes_bf16(std::string_view) { return true; }
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("x", op.x, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
