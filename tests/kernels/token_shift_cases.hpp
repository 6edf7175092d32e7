// Token shifts with all that they read and write.
#pragma once

#include "kernels/token_shift.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct TokenShiftCase {
  Memory memory;
  TokenShiftForward forward;
  TokenShiftBackward backward;

  TokenShiftCase(Dtype dtype, Shape BTD, int mixes, bool with_previous) : memory(dtype) {
    const Tensor x = memory.random(BTD);
    const Tensor previous = memory.random({BTD[0], BTD[2]});
    forward = {.x = x, .mixes = mixes};
    backward = {.dx = memory.gradient(BTD), .x = x, .mixes = mixes};
    if (with_previous) forward.previous = backward.previous = previous;
    for (std::size_t m = 0; m < std::size_t(mixes); ++m) {
      forward.y[m] = memory.output(BTD);
      forward.mix[m] = backward.mix[m] = memory.random({BTD[2]}, 0.3, 0.5);
      backward.dmix[m] = memory.gradient({BTD[2]});
      backward.dy[m] = memory.random(BTD);
    }
  }
};

}  // namespace metascale::testing
