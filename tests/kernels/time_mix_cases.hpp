// The time mix's elementwise chains in memories of their own.
#pragma once

#include "kernels/cases/heads.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

using cases::Layer;

struct TimeMixOperandsCase : OwnMemory, cases::TimeMixOperands {
  TimeMixOperandsCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N,
                      Layer layer = Layer::later)
      : OwnMemory{Memory(dtype)}, TimeMixOperands(memory, R, H, N, layer) {}
};

struct TimeMixOutputCase : OwnMemory, cases::TimeMixOutput {
  TimeMixOutputCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N)
      : OwnMemory{Memory(dtype)}, TimeMixOutput(memory, R, H, N) {}
};

}  // namespace metascale::testing
