// Causal self-attention with rotary positions.
#pragma once

#include "experiments/tape.hpp"

namespace metascale {

struct Heads {
  Tensor q, k, v;  // (B, T, H, N) each
};

// Takes a fused projection apart: qkv (B, T, 3 H N), per head [q k v].
Heads split_heads(Tape& tape, const Tensor& qkv, std::int64_t head_size);
// Turns the first `rotated` channels of every head of x (B, T, H, N) by the token's position.
Tensor rotary(Tape& tape, const Tensor& x, std::int64_t rotated);
// Softmax attention, scale 1/sqrt(N); y (B, T, H N).
Tensor attention(Tape& tape, const Heads& heads, const Tensor& first = {});

}  // namespace metascale
