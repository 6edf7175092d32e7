// Attention and what stands before it, with all that they read and write.
//
// A case is a struct of operators whose operands lie in a memory of the caller's: of the tests,
// which gives every operand its own block, or of the benchmark [case.hpp]. Both have these words:
//   random, output, gradient    activations: read, written, added to
//   parameter, positive         vectors of parameters: read
//   parameter_gradient          their gradients: added to
//   statistic                   of rows, and states: written
//   indices                     i32 below a bound: read
//   given                       the caller's numbers, copied: read
//   output(shape, dtype)        written, in that dtype
#pragma once

#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/rotary.hpp"

namespace metascale::cases {

struct Attention {
  AttentionForward forward;
  AttentionBackward backward;

  template <typename Memory>
  Attention(Memory& memory, Shape BTHN) {
    const double scale = 1 / std::sqrt(double(BTHN[3]));
    const Tensor q = memory.random(BTHN, 2), k = memory.random(BTHN, 2), v = memory.random(BTHN);
    const Tensor y = memory.output(BTHN), lse = memory.statistic({BTHN[0], BTHN[2], BTHN[1]});
    forward = {.y = y, .lse = lse, .q = q, .k = k, .v = v, .scale = scale};
    backward = {.dq = memory.gradient(BTHN),
                .dk = memory.gradient(BTHN),
                .dv = memory.gradient(BTHN),
                .dy = memory.random(BTHN),
                .y = y,
                .lse = lse,
                .q = q,
                .k = k,
                .v = v,
                .scale = scale};
  }
};

struct Rotary {
  RotaryForward forward;
  RotaryBackward backward;

  template <typename Memory>
  Rotary(Memory& memory, Shape BTHN, std::int64_t rotated) {
    constexpr std::int64_t first = 3;
    forward = {.y = memory.output(BTHN),
               .x = memory.random(BTHN),
               .rotated = rotated,
               .first_position = first};
    backward = {.dx = memory.gradient(BTHN),
                .dy = memory.random(BTHN),
                .rotated = rotated,
                .first_position = first};
  }
};

struct SplitHeads {
  SplitHeadsForward forward;
  SplitHeadsBackward backward;

  template <typename Memory>
  SplitHeads(Memory& memory, Shape BTHN) {
    const Shape fused{BTHN[0], BTHN[1], 3 * BTHN[2] * BTHN[3]};
    forward = {.q = memory.output(BTHN),
               .k = memory.output(BTHN),
               .v = memory.output(BTHN),
               .qkv = memory.random(fused)};
    backward = {.dqkv = memory.gradient(fused),
                .dq = memory.random(BTHN),
                .dk = memory.random(BTHN),
                .dv = memory.random(BTHN)};
  }
};

}  // namespace metascale::cases
