// Norms in memories of their own.
#pragma once

#include "kernels/cases/norms.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct LayerNormCase : OwnMemory, cases::LayerNorm {
  LayerNormCase(Dtype dtype, std::int64_t R, std::int64_t D)
      : OwnMemory{Memory(dtype)}, LayerNorm(memory, R, D) {}
};

struct RmsNormCase : OwnMemory, cases::RmsNorm {
  RmsNormCase(Dtype dtype, std::int64_t R, std::int64_t D)
      : OwnMemory{Memory(dtype)}, RmsNorm(memory, R, D) {}
};

struct HeadNormCase : OwnMemory, cases::HeadNorm {
  HeadNormCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N)
      : OwnMemory{Memory(dtype)}, HeadNorm(memory, R, H, N) {}
};

}  // namespace metascale::testing
