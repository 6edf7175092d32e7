// Matrix products.      c = op(a) op(b) + bias
// Backward of y = x W^T + bias:   dx = dy W    dW = dy^T x    dbias = sum over rows of dy
//
// With bf16 the operands are rounded to bfloat16 and products are summed in f32.
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct Matmul {
  Tensor c;        // (M, N)  leading axes are merged: (B, T, N) is (B*T, N)
  Tensor a;        // (M, K), or (K, M) where transpose_a
  Tensor b;        // (K, N), or (N, K) where transpose_b
  Tensor bias;     // (N)     optional; not with add
  Tensor scratch;  // (scratch_elements())  bf16; only where bf16 and the operands are f32
  bool transpose_a = false, transpose_b = false;
  bool add = false;   // c is a gradient: added to what it holds, unless it is fresh
  bool bf16 = false;  // needed where a or b is stored in bf16

  static bool takes_bf16(std::string_view field) { return field != "c"; }
  std::int64_t scratch_elements() const;  // of bf16, for rounded copies of a and b
  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("c", op.c, op.add ? Use::add : Use::write);
    visit("a", op.a, Use::read);
    visit("b", op.b, Use::read);
    visit("bias", op.bias, Use::read);
    visit("scratch", op.scratch, Use::scratch);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

// dbias_n += sum_m dy_mn, rows in order: the sum does not depend on the number of threads.
struct ColumnSum {
  Tensor dbias;  // (N)
  Tensor dy;     // (M, N)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dbias", op.dbias, Use::add);
    visit("dy", op.dy, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
