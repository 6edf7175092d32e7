// Look-up of token embeddings.     y_r = weight[token_r];   dweight[token_r] += dy_r, rows in order
#pragma once

#include "kernels/queue.hpp"

namespace metascale {

struct EmbeddingForward {
  Tensor y;       // (R, D)
  Tensor tokens;  // (R)     i32, each in [0, V): checked where the data is read
  Tensor weight;  // (V, D)

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("y", op.y, Use::write);
    visit("tokens", op.tokens, Use::read);
    visit("weight", op.weight, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

struct EmbeddingBackward {
  Tensor dweight;  // (V, D)
  Tensor dy;       // (R, D)
  Tensor tokens;   // (R)     i32

  void check() const;
  Cost cost() const;
  static void operands(auto& op, auto&& visit) {
    visit("dweight", op.dweight, Use::add);
    visit("dy", op.dy, Use::read);
    visit("tokens", op.tokens, Use::read);
  }
  void on(CpuQueue&) const;
  void on(CudaQueue&) const;
};

}  // namespace metascale
