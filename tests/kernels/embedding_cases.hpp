// Embedding look-ups with all that they read and write.
#pragma once

#include "kernels/embedding.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct EmbeddingCase {
  Memory memory;
  EmbeddingForward forward;
  EmbeddingBackward backward;

  // R tokens of a vocabulary of V; where R > V some token is met twice.
  EmbeddingCase(Dtype dtype, std::int64_t R, std::int64_t V, std::int64_t D) : memory(dtype) {
    const Tensor tokens = memory.indices({R}, V);
    forward = {.y = memory.output({R, D}), .tokens = tokens, .weight = memory.random({V, D})};
    backward = {.dweight = memory.gradient({V, D}), .dy = memory.random({R, D}), .tokens = tokens};
  }
};

}  // namespace metascale::testing
