// Rotary embeddings and the split of fused heads in memories of their own.
#pragma once

#include "kernels/cases/attention.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct RotaryCase : OwnMemory, cases::Rotary {
  RotaryCase(Dtype dtype, Shape BTHN, std::int64_t rotated)
      : OwnMemory{Memory(dtype)}, Rotary(memory, BTHN, rotated) {}
};

struct SplitHeadsCase : OwnMemory, cases::SplitHeads {
  SplitHeadsCase(Dtype dtype, Shape BTHN) : OwnMemory{Memory(dtype)}, SplitHeads(memory, BTHN) {}
};

}  // namespace metascale::testing
