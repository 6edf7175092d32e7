// Token shifts in a memory of their own.
#pragma once

#include "kernels/cases/elements.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct TokenShiftCase : OwnMemory, cases::TokenShift {
  TokenShiftCase(Dtype dtype, Shape BTD, int mixes, bool with_previous)
      : OwnMemory{Memory(dtype)}, TokenShift(memory, BTD, mixes, with_previous) {}
};

}  // namespace metascale::testing
