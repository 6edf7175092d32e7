// The time mix's elementwise chains with all that they read and write.
#pragma once

#include "kernels/time_mix.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

enum class Layer { first, later };  // the first has no value residual

struct TimeMixOperandsCase {
  Memory memory;
  TimeMixOperandsForward forward;
  TimeMixOperandsBackward backward;

  TimeMixOperandsCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N,
                      Layer layer = Layer::later)
      : memory(dtype) {
    const Shape rows{R, H * N}, channels{H * N};
    forward = {.k = memory.output(rows),
               .a = memory.output(rows),
               .b = memory.output(rows),
               .inverse_norm = memory.output({R, H}),
               .k_raw = memory.random(rows),
               .rate_logit = memory.random(rows),
               .k_k = memory.random(channels, 0.3, 0.7),
               .k_a = memory.random(channels, 0.2, 1)};
    backward = {.dk_raw = memory.gradient(rows),
                .drate_logit = memory.gradient(rows),
                .dk_k = memory.gradient(channels),
                .dk_a = memory.gradient(channels),
                .dk = memory.random(rows),
                .da = memory.random(rows),
                .db = memory.random(rows),
                .inverse_norm = forward.inverse_norm,
                .k_raw = forward.k_raw,
                .rate_logit = forward.rate_logit,
                .k_k = forward.k_k,
                .k_a = forward.k_a};
    if (layer == Layer::later) add_value_residual(rows);
  }

 private:
  void add_value_residual(Shape rows) {
    forward.v = memory.output(rows);
    forward.v_raw = backward.v_raw = memory.random(rows);
    forward.v_first = backward.v_first = memory.random(rows);
    forward.value_logit = backward.value_logit = memory.random(rows);
    backward.dv = memory.random(rows);
    backward.dv_raw = memory.gradient(rows);
    backward.dv_first = memory.gradient(rows);
    backward.dvalue_logit = memory.gradient(rows);
  }
};

struct TimeMixOutputCase {
  Memory memory;
  TimeMixOutputForward forward;
  TimeMixOutputBackward backward;

  TimeMixOutputCase(Dtype dtype, std::int64_t R, std::int64_t H, std::int64_t N) : memory(dtype) {
    const Shape rows{R, H * N}, vectors{R, H, N}, channels{H * N};
    forward = {.out = memory.output(rows),
               .yhat = memory.output(vectors),
               .scale = memory.output({R, H}),
               .y = memory.random(vectors, 2, 1),
               .r = memory.random(vectors),
               .k = memory.random(vectors),
               .v = memory.random(vectors),
               .gate = memory.random(rows),
               .weight = memory.random(channels, 0.5, 1),
               .bias = memory.random(channels),
               .bonus = memory.random({H, N})};
    backward = {.dy = memory.gradient(vectors),
                .dr = memory.gradient(vectors),
                .dk = memory.gradient(vectors),
                .dv = memory.gradient(vectors),
                .dgate = memory.gradient(rows),
                .dweight = memory.gradient(channels),
                .dbias = memory.gradient(channels),
                .dbonus = memory.gradient({H, N}),
                .dout = memory.random(rows),
                .dyhat = memory.random(vectors),
                .yhat = forward.yhat,
                .scale = forward.scale,
                .r = forward.r,
                .k = forward.k,
                .v = forward.v,
                .gate = forward.gate,
                .weight = forward.weight,
                .bias = forward.bias,
                .bonus = forward.bonus};
  }
};

}  // namespace metascale::testing
