// Attention with all that it reads and writes.
#pragma once

#include <cmath>

#include "kernels/attention.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct AttentionCase {
  Memory memory;
  AttentionForward forward;
  AttentionBackward backward;

  AttentionCase(Dtype dtype, Shape BTHN) : memory(dtype) {
    const double scale = 1 / std::sqrt(double(BTHN[3]));
    const Tensor q = memory.random(BTHN, 2), k = memory.random(BTHN, 2), v = memory.random(BTHN);
    const Tensor y = memory.output(BTHN), lse = memory.output({BTHN[0], BTHN[2], BTHN[1]});
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

// The forward alone, of the last T of S tokens.
struct CachedAttentionCase {
  Memory memory;
  AttentionForward forward;

  CachedAttentionCase(Dtype dtype, Shape BTHN, std::int64_t S) : memory(dtype) {
    const Shape keys{BTHN[0], S, BTHN[2], BTHN[3]};
    forward = {.y = memory.output(BTHN),
               .lse = memory.output({BTHN[0], BTHN[2], BTHN[1]}),
               .q = memory.random(BTHN, 2),
               .k = memory.random(keys, 2),
               .v = memory.random(keys),
               .scale = 1 / std::sqrt(double(BTHN[3]))};
  }
};

}  // namespace metascale::testing
