// The output head and its cross-entropy in one operator, a chunk of rows at a time: the logits of
// all rows, (B*T, V), never exist.
//   z = x W^T;   loss_r = ln sum_v e^{z_rv} - z_r[target_r]                       nats
//   dz_rv = scale_r (softmax(z_r)_v - [v = target_r]);   dx = dz W;   dW = dz^T x
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

// Rows of a chunk, at least 16: as many as keep the chunk of logits near 4 MiB, a CPU's cache; a
// GPU needs far more rows to be busy, and gets 512 MiB, half of them where logits are bf16.
constexpr std::int64_t classifier_chunk(std::int64_t rows, std::int64_t vocabulary,
                                        Device device = Device::cpu) {
  const std::int64_t elements = std::int64_t(1) << (device == Device::cuda ? 27 : 20);
  const std::int64_t wanted = elements / (vocabulary > 0 ? vocabulary : 1);
  const std::int64_t chunk = wanted < 16 ? 16 : wanted;
  return rows < chunk ? rows : chunk;
}

struct ClassifierLoss {
  Tensor losses;      // (R)     nats; every row, whatever its weight
  Tensor x;           // (R, D)
  Tensor weight;      // (V, D)
  Tensor targets;     // (R)     i32, in [0, V)
  Tensor logits;      // (C, V)  scratch, of any C up to R: classifier_chunk
  Tensor scratch;     // (scratch_elements())  of what is not stored in bf16; only where bf16
  bool bf16 = false;  // needed where x, weight or logits are stored in bf16

  static bool takes_bf16(std::string_view field) {
    return field == "x" || field == "weight" || field == "logits" || field == "scratch";
  }
  std::int64_t scratch_elements() const;
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("losses", op.losses, Use::write);
    visit("x", op.x, Use::read);
    visit("weight", op.weight, Use::read);
    visit("targets", op.targets, Use::read);
    visit("logits", op.logits, Use::scratch);
    visit("scratch", op.scratch, Use::scratch);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// Losses and gradients of sum_r scale_r loss_r in one pass.
struct ClassifierLossAndGradients {
  Tensor losses;   // (R)
  Tensor dx;       // (R, D)
  Tensor dweight;  // (V, D)
  Tensor x;        // (R, D)
  Tensor weight;   // (V, D)
  Tensor targets;  // (R)     i32
  Tensor scales;   // (R)     f32 (f64 where x is): the row's weight over the batch's sum of them
  Tensor logits;   // (C, V)  scratch
  Tensor scratch;  // as in ClassifierLoss
  bool bf16 = false;

  static bool takes_bf16(std::string_view field) {
    return field == "x" || field == "weight" || field == "logits" || field == "scratch";
  }
  std::int64_t scratch_elements() const;
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("losses", op.losses, Use::write);
    visit("dx", op.dx, Use::add);
    visit("dweight", op.dweight, Use::add);
    visit("x", op.x, Use::read);
    visit("weight", op.weight, Use::read);
    visit("targets", op.targets, Use::read);
    visit("scales", op.scales, Use::read);
    visit("logits", op.logits, Use::scratch);
    visit("scratch", op.scratch, Use::scratch);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
