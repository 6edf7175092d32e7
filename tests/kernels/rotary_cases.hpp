// Rotary embeddings and the split of fused heads, with all that they read and write.
#pragma once

#include "kernels/rotary.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct RotaryCase {
  Memory memory;
  RotaryForward forward;
  RotaryBackward backward;

  RotaryCase(Dtype dtype, Shape BTHN, std::int64_t rotated) : memory(dtype) {
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

struct SplitHeadsCase {
  Memory memory;
  SplitHeadsForward forward;
  SplitHeadsBackward backward;

  SplitHeadsCase(Dtype dtype, Shape BTHN) : memory(dtype) {
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

}  // namespace metascale::testing
