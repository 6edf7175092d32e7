// Normalisations over the last axis.
//
// LayerNorm [Ba et al. 2016]      m = mean_d x_d,  s = 1/sqrt(mean_d (x_d - m)^2 + epsilon)
//   y_d = (x_d - m) s w_d + b_d
//   dx_d = s (g_d - mean(g) - h_d mean(g h)),  g = w dy,  h = (x - m) s
//   dw = sum dy h;   db = sum dy
// RMSNorm [Zhang & Sennrich 2019, eq. 4]      s = 1/sqrt(mean_d x_d^2 + epsilon)
//   y_d = x_d s w_d;   dx_d = s g_d - x_d s^3 mean(g x);   dw = sum dy x s
// Both normalise x, or x + branch (+ second_branch) in the pass that makes the sum, which is
// rounded as it is stored before it is normalised: the bits of AddForward and the norm behind it.
// HeadNorm: LayerNorm of each head's N channels, without weight and bias.
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct LayerNormForward {
  Tensor y;              // (R, D)
  Tensor mean;           // (R)     kept for the backward
  Tensor scale;          // (R)     s, kept for the backward
  Tensor sum;            // (R, D)  x + branch (+ second_branch), where there is a branch
  Tensor x;              // (R, D)
  Tensor branch;         // (R, D)  optional: added to x
  Tensor second_branch;  // (R, D)  optional: added to both
  Tensor weight;         // (D)
  Tensor bias;           // (D)
  double epsilon = 1e-5;

  static bool takes_bf16(std::string_view field) { return field == "sum"; }
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("mean", op.mean, Use::write);
    visit("scale", op.scale, Use::write);
    visit("sum", op.sum, Use::write);
    visit("x", op.x, Use::read);
    visit("branch", op.branch, Use::read);
    visit("second_branch", op.second_branch, Use::read);
    visit("weight", op.weight, Use::read);
    visit("bias", op.bias, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct LayerNormBackward {
  Tensor dx;       // (R, D)
  Tensor dweight;  // (D)
  Tensor dbias;    // (D)
  Tensor dy;       // (R, D)
  Tensor x;        // (R, D)
  Tensor weight;   // (D)
  Tensor mean;     // (R)
  Tensor scale;    // (R)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dweight", op.dweight, Use::add);
    visit("dbias", op.dbias, Use::add);
    visit("dy", op.dy, Use::read);
    visit("x", op.x, Use::read);
    visit("weight", op.weight, Use::read);
    visit("mean", op.mean, Use::read);
    visit("scale", op.scale, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct RmsNormForward {
  Tensor y;              // (R, D)
  Tensor scale;          // (R)     s, kept for the backward
  Tensor sum;            // (R, D)  x + branch (+ second_branch), where there is a branch
  Tensor x;              // (R, D)
  Tensor branch;         // (R, D)  optional: added to x
  Tensor second_branch;  // (R, D)  optional: added to both
  Tensor weight;         // (D)
  double epsilon = 1e-5;

  static bool takes_bf16(std::string_view field) { return field == "sum"; }
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("scale", op.scale, Use::write);
    visit("sum", op.sum, Use::write);
    visit("x", op.x, Use::read);
    visit("branch", op.branch, Use::read);
    visit("second_branch", op.second_branch, Use::read);
    visit("weight", op.weight, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct RmsNormBackward {
  Tensor dx;       // (R, D)
  Tensor dweight;  // (D)
  Tensor dy;       // (R, D)
  Tensor x;        // (R, D)
  Tensor weight;   // (D)
  Tensor scale;    // (R)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dweight", op.dweight, Use::add);
    visit("dy", op.dy, Use::read);
    visit("x", op.x, Use::read);
    visit("weight", op.weight, Use::read);
    visit("scale", op.scale, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct HeadNormForward {
  Tensor y;      // (R, H, N)
  Tensor scale;  // (R, H)     s, kept for the backward
  Tensor x;      // (R, H, N)
  double epsilon = 1e-5;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("scale", op.scale, Use::write);
    visit("x", op.x, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// dx = s (dy - mean(dy) - y mean(dy y))
struct HeadNormBackward {
  Tensor dx;     // (R, H, N)
  Tensor dy;     // (R, H, N)
  Tensor y;      // (R, H, N)
  Tensor scale;  // (R, H)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
    visit("y", op.y, Use::read);
    visit("scale", op.scale, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
