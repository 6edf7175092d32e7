// AdamW [Loshchilov & Hutter 2019] with decoupled decay, over one contiguous range of parameters:
//   g = gradient_scale gradient;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
//   p -= rate ( (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + epsilon) + weight_decay p )
#pragma once

#include "kernels/queue.hpp"
#include "kernels/rounding.hpp"

namespace metascale {

struct AdamW {
  Tensor parameters;  // (n)
  Tensor m;           // (n)
  Tensor v;           // (n)
  Tensor gradients;   // (n)
  Tensor copy;        // (n)     optional: the new parameters once more, in bf16
  double rate = 0;    // learning rate, times the tensor's multiplier
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0;
  double gradient_scale = 1;  // of the global-norm clip
  std::int64_t time = 1;      // t, from 1
  Rounding rounding;          // of the copy

  static bool takes_bf16(std::string_view field) { return field == "copy"; }
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("parameters", op.parameters, Use::add);
    visit("m", op.m, Use::add);
    visit("v", op.v, Use::add);
    visit("gradients", op.gradients, Use::read);
    visit("copy", op.copy, Use::write);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// sum_i x_i^2 in f64: blocks of 4096 in order, so that the bits do not depend on the number of
// threads.
struct SumOfSquares {
  Tensor sum;       // (1)     f64
  Tensor x;         // (n)
  Tensor partials;  // (ceil(n / 4096))  f64 scratch

  static constexpr std::int64_t block = 4096;
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("sum", op.sum, Use::write);
    visit("x", op.x, Use::read);
    visit("partials", op.partials, Use::scratch);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
