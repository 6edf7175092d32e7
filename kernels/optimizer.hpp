// AdamW [Loshchilov & Hutter 2019] with decoupled decay, over all parameters of an arena at once:
//   g = gradient_scale gradient;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
//   p -= rate ( (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + epsilon) + weight_decay p )
#pragma once

#include <vector>

#include "kernels/queue.hpp"
#include "kernels/rounding.hpp"

namespace metascale {

// What parameters of a group have in common, at one step.
struct AdamGroup {
  double rate = 0;  // learning rate, times the group's multiplier
  double weight_decay = 0;
  std::int64_t time = 1;  // t, from 1
};

// Elements of one group, side by side.
struct AdamSegment {
  static constexpr std::int64_t words = 8;  // of 32 bits

  std::int64_t first = 0;   // of parameters, gradients and copy
  std::int64_t moment = 0;  // of m and v: where its moments begin
  std::int64_t count = 0;
  std::int64_t group = 0;
};

struct AdamExtents {
  std::int64_t parameters = 0;  // n
  std::int64_t moments = 0;     // k
  std::int64_t groups = 0;
};

// The segments cut into what one block of threads updates: AdamW.segments, as it lies in memory.
// Throws unless they cover all moments, in order, each with parameters of its own.
std::vector<AdamSegment> cut_segments(const std::vector<AdamSegment>& segments,
                                      const AdamExtents& extents);

struct AdamW {
  Tensor parameters;              // (n)
  Tensor m;                       // (k)     of all parameters, or of a shard of them
  Tensor v;                       // (k)
  Tensor gradients;               // (n)
  Tensor copy;                    // (n)     optional: the new parameters once more, in bf16
  Tensor segments;                // (S, AdamSegment::words) i32, of cut_segments
  std::vector<AdamGroup> groups;  // of the segments
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double gradient_scale = 1;  // of the global-norm clip
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
    visit("segments", op.segments, Use::read);
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
