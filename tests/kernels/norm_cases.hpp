// Norms with all that they read and write.
#pragma once

#include "kernels/norm.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct LayerNormCase {
  Memory memory;
  LayerNormForward forward;
  LayerNormBackward backward;

  LayerNormCase(Dtype dtype, std::int64_t R, std::int64_t D) : memory(dtype) {
    const Tensor x = memory.random({R, D}, 2, 3), weight = memory.random({D}, 0.5, 1);
    forward = {.y = memory.output({R, D}),
               .mean = memory.output({R}),
               .scale = memory.output({R}),
               .x = x,
               .weight = weight,
               .bias = memory.random({D})};
    backward = {.dx = memory.gradient({R, D}),
                .dweight = memory.gradient({D}),
                .dbias = memory.gradient({D}),
                .dy = memory.random({R, D}),
                .x = x,
                .weight = weight,
                .mean = forward.mean,
                .scale = forward.scale};
  }
};

struct RmsNormCase {
  Memory memory;
  RmsNormForward forward;
  RmsNormBackward backward;

  RmsNormCase(Dtype dtype, std::int64_t R, std::int64_t D) : memory(dtype) {
    const Tensor x = memory.random({R, D}, 2, 0.5), weight = memory.random({D}, 0.5, 1);
    forward = {.y = memory.output({R, D}), .scale = memory.output({R}), .x = x, .weight = weight};
    backward = {.dx = memory.gradient({R, D}),
                .dweight = memory.gradient({D}),
                .dy = memory.random({R, D}),
                .x = x,
                .weight = weight,
                .scale = forward.scale};
  }
};

struct HeadNormCase {
  Memory memory;
  HeadNormForward forward;
  HeadNormBackward backward;

  HeadNormCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N) : memory(dtype) {
    forward = {.y = memory.output({R, H, N}),
               .scale = memory.output({R, H}),
               .x = memory.random({R, H, N}, 2, 1)};
    backward = {.dx = memory.gradient({R, H, N}),
                .dy = memory.random({R, H, N}),
                .y = forward.y,
                .scale = forward.scale};
  }
};

}  // namespace metascale::testing
