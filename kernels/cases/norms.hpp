// Norms with all that they read and write [attention.hpp: what a case is].
#pragma once

#include "kernels/norm.hpp"

namespace metascale::cases {

// Gives the norm that many summands in place of its x; returns what its backward reads as x.
template <typename Memory, typename Forward>
Tensor normalised(Memory& memory, Forward& forward, int summands) {
  const Shape shape = forward.x.shape;
  if (summands == 1) return forward.x;
  forward.sum = memory.output(shape);
  forward.branch = memory.random(shape);
  if (summands == 3) forward.second_branch = memory.random(shape);
  return forward.sum;
}

struct LayerNorm {
  LayerNormForward forward;
  LayerNormBackward backward;

  template <typename Memory>
  LayerNorm(Memory& memory, std::int64_t R, std::int64_t D, int summands = 1) {
    const Tensor x = memory.random({R, D}, 2, 3), weight = memory.parameter({D}, 0.5, 1);
    forward = {.y = memory.output({R, D}),
               .mean = memory.statistic({R}),
               .scale = memory.statistic({R}),
               .x = x,
               .weight = weight,
               .bias = memory.parameter({D})};
    backward = {.dx = memory.gradient({R, D}),
                .dweight = memory.parameter_gradient({D}),
                .dbias = memory.parameter_gradient({D}),
                .dy = memory.random({R, D}),
                .x = normalised(memory, forward, summands),
                .weight = weight,
                .mean = forward.mean,
                .scale = forward.scale};
  }
};

struct RmsNorm {
  RmsNormForward forward;
  RmsNormBackward backward;

  template <typename Memory>
  RmsNorm(Memory& memory, std::int64_t R, std::int64_t D, int summands = 1) {
    const Tensor x = memory.random({R, D}, 2, 0.5), weight = memory.parameter({D}, 0.5, 1);
    forward = {
        .y = memory.output({R, D}), .scale = memory.statistic({R}), .x = x, .weight = weight};
    backward = {.dx = memory.gradient({R, D}),
                .dweight = memory.parameter_gradient({D}),
                .dy = memory.random({R, D}),
                .x = normalised(memory, forward, summands),
                .weight = weight,
                .scale = forward.scale};
  }
};

struct HeadNorm {
  HeadNormForward forward;
  HeadNormBackward backward;

  template <typename Memory>
  HeadNorm(Memory& memory, std::int64_t R, std::int64_t H, std::int64_t N) {
    forward = {.y = memory.output({R, H, N}),
               .scale = memory.statistic({R, H}),
               .x = memory.random({R, H, N}, 2, 1)};
    backward = {.dx = memory.gradient({R, H, N}),
                .dy = memory.random({R, H, N}),
                .y = forward.y,
                .scale = forward.scale};
  }
};

}  // namespace metascale::cases
