// Products with all that they read and write: the forward of a linear layer and its backward.
#pragma once

#include "kernels/matmul.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct MatmulSizes {
  std::int64_t M, N, K;
};

// c = op(a) op(b), for one choice of transposes.
struct MatmulCase {
  Memory memory;
  Matmul forward;

  MatmulCase(Dtype dtype, MatmulSizes size, bool transpose_a, bool transpose_b) : memory(dtype) {
    const auto [M, N, K] = size;
    const Tensor a = memory.random(transpose_a ? Shape{K, M} : Shape{M, K});
    const Tensor b = memory.random(transpose_b ? Shape{N, K} : Shape{K, N});
    forward = {.c = memory.output({M, N}),
               .a = a,
               .b = b,
               .transpose_a = transpose_a,
               .transpose_b = transpose_b};
  }
};

// c = a b with the operands rounded to bf16.
struct Bf16MatmulCase : MatmulCase {
  Bf16MatmulCase(MatmulSizes size, bool transpose_a, bool transpose_b)
      : MatmulCase(Dtype::f32, size, transpose_a, transpose_b) {
    forward.bf16 = true;
    forward.scratch = memory.output({forward.scratch_elements()}, Dtype::bf16);
  }
};

struct ColumnSumCase {
  Memory memory;
  ColumnSum forward;

  ColumnSumCase(Dtype dtype, std::int64_t M, std::int64_t N) : memory(dtype) {
    forward = {.dbias = memory.parameter_gradient({N}), .dy = memory.random({M, N})};
  }
};

}  // namespace metascale::testing
