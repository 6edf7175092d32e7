// Attention in a memory of its own.
#pragma once

#include <cmath>

#include "kernels/cases/attention.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct AttentionCase : OwnMemory, cases::Attention {
  AttentionCase(Dtype dtype, Shape BTHN) : OwnMemory{Memory(dtype)}, Attention(memory, BTHN) {}
};

// The forward alone, of the last T of S tokens.
struct CachedAttentionCase {
  Memory memory;
  AttentionForward forward;

  CachedAttentionCase(Dtype dtype, Shape BTHN, std::int64_t S) : memory(dtype) {
    const Shape keys{BTHN[0], S, BTHN[2], BTHN[3]};
    forward = {.y = memory.output(BTHN),
               .lse = memory.statistic({BTHN[0], BTHN[2], BTHN[1]}),
               .q = memory.random(BTHN, 2),
               .k = memory.random(keys, 2),
               .v = memory.random(keys),
               .scale = 1 / std::sqrt(double(BTHN[3]))};
  }
};

}  // namespace metascale::testing
