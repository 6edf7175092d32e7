// Where documents are packed into one window, nothing may flow from one to the next. Token t starts
// a document where first_t = t; there a value takes the place of what was computed:
//   y_t = value where token t starts a document, else x_t;      dx_t += dy_t, and 0 where it does
// WKV7 forgets its state at a token with d = infinity and a = 0 [kernels/wkv7.hpp].
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct ResetForward {
  Tensor y;          // (B, T, ...)
  Tensor x;          // (B, T, ...)
  Tensor first;      // (B, T) i32  position of the first token of each token's document
  double value = 0;  // may be infinite

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("x", op.x, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct ResetBackward {
  Tensor dx;     // (B, T, ...)
  Tensor dy;     // (B, T, ...)
  Tensor first;  // (B, T) i32

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
    visit("first", op.first, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
