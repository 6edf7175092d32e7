// Optimizer operators with all that they read and write.
#pragma once

#include "kernels/optimizer.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct AdamWCase {
  Memory memory;
  AdamW forward;

  AdamWCase(Dtype dtype, std::int64_t n, std::int64_t time) : memory(dtype) {
    const Tensor v = memory.random({n});
    Values squares = values_of(v);
    for (double& value : squares) value = double(float(value * value));
    assign(v, squares);
    forward = {.parameters = memory.random({n}),
               .m = memory.random({n}),
               .v = v,
               .gradients = memory.random({n}),
               .rate = 0.01,
               .weight_decay = 0.1,
               .gradient_scale = 0.5,
               .time = time};
  }
};

struct SumOfSquaresCase {
  Memory memory;
  SumOfSquares forward;

  SumOfSquaresCase(Dtype dtype, std::int64_t n) : memory(dtype) {
    const std::int64_t blocks = (n + SumOfSquares::block - 1) / SumOfSquares::block;
    forward = {.sum = memory.output({1}, Dtype::f64),
               .x = memory.random({n}),
               .partials = memory.output({blocks}, Dtype::f64)};
  }
};

}  // namespace metascale::testing
