// Embedding look-ups in a memory of their own.
#pragma once

#include "kernels/cases/parameters.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

// R tokens of a vocabulary of V; where R > V some token is met twice.
struct EmbeddingCase : OwnMemory, cases::Embedding {
  EmbeddingCase(Dtype dtype, std::int64_t R, std::int64_t V, std::int64_t D)
      : OwnMemory{Memory(dtype)}, Embedding(memory, R, V, D) {}
};

}  // namespace metascale::testing
