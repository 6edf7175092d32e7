// The Self-State Encoder with all that it reads and writes.
#pragma once

#include "kernels/self_state.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct SelfStateQueryCase {
  Memory memory;
  SelfStateQueryForward forward;
  SelfStateQueryBackward backward;

  SelfStateQueryCase(Dtype dtype, std::int64_t R, std::int64_t blocks, std::int64_t heads,
                     std::int64_t N)
      : memory(dtype) {
    forward = {.q = memory.output({R, heads, N}),
               .inverse_norm = memory.output({R, heads}),
               .c = memory.random({R, blocks * N})};
    backward = {.dc = memory.gradient({R, blocks * N}),
                .dq = memory.random({R, heads, N}),
                .q = forward.q,
                .inverse_norm = forward.inverse_norm};
  }
};

struct SelfStateMixCase {
  Memory memory;
  SelfStateMixForward forward;
  SelfStateMixBackward backward;

  // heads: of e, of which the first `read` take part.
  SelfStateMixCase(Dtype dtype, std::int64_t R, std::int64_t blocks, std::int64_t heads,
                   std::int64_t read, std::int64_t N)
      : memory(dtype) {
    forward = {.z = memory.output({R, blocks * N}),
               .c = memory.random({R, blocks * N}),
               .e = memory.random({R, heads, N}),
               .gamma = memory.random({read, N}, 0.5, 1)};
    backward = {.dc = memory.gradient({R, blocks * N}),
                .de = memory.gradient({R, heads, N}),
                .dgamma = memory.gradient({read, N}),
                .dz = memory.random({R, blocks * N}),
                .e = forward.e,
                .gamma = forward.gamma};
  }
};

}  // namespace metascale::testing
