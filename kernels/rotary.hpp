// Rotary position embedding [Su et al. 2021], rotate-half pairing: of the first n = `rotated`
// channels of a head, (x_j, x_{j+n/2}) <- (x_j cos - x_{j+n/2} sin, x_{j+n/2} cos + x_j sin), angle
// t base^(-2j/n), j < n/2, t = first_position + token index. The other channels pass through.
// Backward: the inverse turn.
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct RotaryForward {
  Tensor y;                  // (B, T, H, N)
  Tensor x;                  // (B, T, H, N)
  std::int64_t rotated = 0;  // even, <= N
  double base = 10000;
  std::int64_t first_position = 0;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("x", op.x, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct RotaryBackward {
  Tensor dx;  // (B, T, H, N)
  Tensor dy;  // (B, T, H, N)
  std::int64_t rotated = 0;
  double base = 10000;
  std::int64_t first_position = 0;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// The fused projection of GPT-NeoX holds q, k and v of one head side by side: (B, T, H, 3, N).
struct SplitHeadsForward {
  Tensor q;    // (B, T, H, N)
  Tensor k;    // (B, T, H, N)
  Tensor v;    // (B, T, H, N)
  Tensor qkv;  // (B, T, 3 H N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("q", op.q, Use::write);
    visit("k", op.k, Use::write);
    visit("v", op.v, Use::write);
    visit("qkv", op.qkv, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SplitHeadsBackward {
  Tensor dqkv;  // (B, T, 3 H N)
  Tensor dq;    // (B, T, H, N)
  Tensor dk;    // (B, T, H, N)
  Tensor dv;    // (B, T, H, N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dqkv", op.dqkv, Use::add);
    visit("dq", op.dq, Use::read);
    visit("dk", op.dk, Use::read);
    visit("dv", op.dv, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
