// Token shift of the RWKV family: every mix m of the same x with the token before it.
//   y^m_t = x_t + (x_{t-1} - x_t) mix^m          x_{-1} = previous, or 0          [model.md 1.1]
// The token before the first one of a document is 0 too, where `first` says what starts one.
//   dx_t  = sum_m dy^m_t (1 - mix^m) + dy^m_{t+1} mix^m;   dmix^m = sum_t dy^m_t (x_{t-1} - x_t)
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

inline constexpr int max_mixes = 6;
using Mixes = std::array<Tensor, max_mixes>;

struct TokenShiftForward {
  Mixes y;          // (B, T, D) each; the first `mixes` of them
  Tensor x;         // (B, T, D)
  Mixes mix;        // (D) each
  Tensor previous;  // (B, D)     optional: the token before the first
  Tensor first;     // (B, T) i32 optional: position of the first token of each token's document
  int mixes = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    for (auto& y : op.y) visit("y", y, Use::write);
    visit("x", op.x, Use::read);
    for (auto& mix : op.mix) visit("mix", mix, Use::read);
    visit("previous", op.previous, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct TokenShiftBackward {
  Tensor dx;        // (B, T, D)
  Mixes dmix;       // (D) each
  Mixes dy;         // (B, T, D) each
  Tensor x;         // (B, T, D)
  Mixes mix;        // (D) each
  Tensor previous;  // (B, D)     optional; receives no gradient
  Tensor first;     // (B, T) i32 optional, as in the forward
  int mixes = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    for (auto& dmix : op.dmix) visit("dmix", dmix, Use::add);
    for (auto& dy : op.dy) visit("dy", dy, Use::read);
    visit("x", op.x, Use::read);
    for (auto& mix : op.mix) visit("mix", mix, Use::read);
    visit("previous", op.previous, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// y = the last token of every sequence: what the next call's `previous` is.
struct LastToken {
  Tensor y;  // (B, D)
  Tensor x;  // (B, T, D)

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
