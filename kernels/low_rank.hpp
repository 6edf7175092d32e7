// The first factors of several low-rank maps of one token-shifted input, as ONE product. With x'
// the token before and x_m = x + (x' - x) mix_m [token_shift.hpp]:
//   x_m W_m = x ((1 - mix_m) o W_m) + x' (mix_m o W_m)
// What a token's x' makes is what the token before makes of its x. So x is multiplied once, by both
// factors side by side, and the shift comes behind the product, where a row has 2 R numbers and not
// D; R is the sum of the ranks R_m.
//   joined = [(1 - mix_m) o W_m, every m | mix_m o W_m, every m]
//   product = [own | next] = x joined
//   hidden^m_t = act_m(own^m_t + next^m_{t-1})    next_{-1}: of the token before the first, or 0;
//                                                 0 before the first token of a document
//   g^m_t = dhidden^m_t act_m';    dproduct_t += [g_t | g_{t+1}]    0 where no token follows
//   dW_m += (1 - mix_m) o A_m + mix_m o B_m    with djoined = [A_m, every m | B_m, every m]
//   dmix_m += sum over columns of W_m o (B_m - A_m)
#pragma once

#include <array>

#include "kernels/queue.hpp"

namespace metascale {

inline constexpr int max_maps = 4;
using PerMap = std::array<Tensor, max_maps>;

// act; its slope is a function of its result, so that nothing else is kept for the backward.
enum class HiddenKind { linear, tanh, sigmoid };
using HiddenKinds = std::array<HiddenKind, max_maps>;

struct JoinFactorsForward {
  Tensor joined;  // (D, 2 R)
  PerMap weight;  // (D, R_m) each; the first `maps` of them
  PerMap mix;     // (D) each
  int maps = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("joined", op.joined, Use::write);
    for (auto& weight : op.weight) visit("weight", weight, Use::read);
    for (auto& mix : op.mix) visit("mix", mix, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct JoinFactorsBackward {
  PerMap dweight;  // (D, R_m) each
  PerMap dmix;     // (D) each
  Tensor djoined;  // (D, 2 R)
  PerMap weight;   // (D, R_m) each
  PerMap mix;      // (D) each
  int maps = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    for (auto& dweight : op.dweight) visit("dweight", dweight, Use::add);
    for (auto& dmix : op.dmix) visit("dmix", dmix, Use::add);
    visit("djoined", op.djoined, Use::read);
    for (auto& weight : op.weight) visit("weight", weight, Use::read);
    for (auto& mix : op.mix) visit("mix", mix, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SplitHiddenForward {
  PerMap hidden;    // (B, T, R_m) each; the first `maps` of them
  Tensor product;   // (B, T, 2 R)
  Tensor previous;  // (B, 2 R)   optional: product of the token before the first
  Tensor first;     // (B, T) i32 optional: position of the first token of each token's document
  HiddenKinds kind{};
  int maps = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    for (auto& hidden : op.hidden) visit("hidden", hidden, Use::write);
    visit("product", op.product, Use::read);
    visit("previous", op.previous, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct SplitHiddenBackward {
  Tensor dproduct;   // (B, T, 2 R)
  Tensor dprevious;  // (B, 2 R)   where previous was given
  PerMap dhidden;    // (B, T, R_m) each
  PerMap hidden;     // (B, T, R_m) each
  Tensor first;      // (B, T) i32 optional, as in the forward
  HiddenKinds kind{};
  int maps = 1;

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dproduct", op.dproduct, Use::add);
    visit("dprevious", op.dprevious, Use::add);
    for (auto& dhidden : op.dhidden) visit("dhidden", dhidden, Use::read);
    for (auto& hidden : op.hidden) visit("hidden", hidden, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
