// Causal softmax attention [Vaswani et al. 2017], with the row statistics of [FlashAttention-2].
//   s_ij = scale q_i k_j  for j <= i + S - T;   p = softmax_j(s);   y_i = sum_j p_ij v_j
//   lse_i = ln sum_j e^{s_ij}
// Backward:  dv_j = sum_i p_ij dy_i;   dp_ij = dy_i v_j;   ds_ij = p_ij (dp_ij - dy_i y_i)
//            dq_i = scale sum_j ds_ij k_j;   dk_j = scale sum_i ds_ij q_i
// Keys and values may be longer than the queries (a cache): the queries are then the last T of S.
// Block-diagonal mask: where `first` is given, query i sees the keys first_i <= j <= i alone.
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct AttentionForward {
  Tensor y;      // (B, T, H, N)
  Tensor lse;    // (B, H, T)     kept for the backward
  Tensor q;      // (B, T, H, N)
  Tensor k;      // (B, S, H, N)  S >= T
  Tensor v;      // (B, S, H, N)
  Tensor first;  // (B, T) i32, ascending, first_i <= i; optional, where S = T
  double scale = 1;
  bool bf16 = false;  // of the products' operands, as in Matmul

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("lse", op.lse, Use::write);
    visit("q", op.q, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct AttentionBackward {
  Tensor dq;       // (B, T, H, N)
  Tensor dk;       // (B, T, H, N)
  Tensor dv;       // (B, T, H, N)
  Tensor dy;       // (B, T, H, N)
  Tensor y;        // (B, T, H, N)
  Tensor lse;      // (B, H, T)
  Tensor q;        // (B, T, H, N)
  Tensor k;        // (B, T, H, N)  no cache in training: S = T
  Tensor v;        // (B, T, H, N)
  Tensor first;    // (B, T) i32  optional, as in the forward
  Tensor scratch;  // (scratch_elements()) bf16  optional: what cuDNN works in
  double scale = 1;
  bool bf16 = false;

  // Of bf16, on a GPU: 0 where cuDNN is not for it, or not in this program.
  std::int64_t scratch_elements() const;
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dq", op.dq, Use::add);
    visit("dk", op.dk, Use::add);
    visit("dv", op.dv, Use::add);
    visit("dy", op.dy, Use::read);
    visit("y", op.y, Use::read);
    visit("lse", op.lse, Use::read);
    visit("q", op.q, Use::read);
    visit("k", op.k, Use::read);
    visit("v", op.v, Use::read);
    visit("first", op.first, Use::read);
    visit("scratch", op.scratch, Use::scratch);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
