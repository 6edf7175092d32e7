// Optimizer operators in memories of their own.
#pragma once

#include "kernels/cases/parameters.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct AdamWCase : OwnMemory, cases::AdamStep {
  AdamWCase(Dtype dtype, std::int64_t n, std::int64_t time)
      : OwnMemory{Memory(dtype)}, AdamStep(memory, n, time) {}
};

struct SumOfSquaresCase : OwnMemory, cases::Squares {
  SumOfSquaresCase(Dtype dtype, std::int64_t n) : OwnMemory{Memory(dtype)}, Squares(memory, n) {}
};

}  // namespace metascale::testing
