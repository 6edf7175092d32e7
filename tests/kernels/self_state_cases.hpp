// The Self-State Encoder in memories of its own.
#pragma once

#include "kernels/cases/heads.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct SelfStateQueryCase : OwnMemory, cases::SelfStateQuery {
  SelfStateQueryCase(Dtype dtype, std::int64_t R, std::int64_t blocks, std::int64_t heads,
                     std::int64_t N)
      : OwnMemory{Memory(dtype)}, SelfStateQuery(memory, R, blocks, heads, N) {}
};

// heads: of e, of which the first `read` take part.
struct SelfStateMixCase : OwnMemory, cases::SelfStateMix {
  SelfStateMixCase(Dtype dtype, std::int64_t R, std::int64_t blocks, std::int64_t heads,
                   std::int64_t read, std::int64_t N)
      : OwnMemory{Memory(dtype)}, SelfStateMix(memory, R, blocks, heads, read, N) {}
};

}  // namespace metascale::testing
