// The time mix's chains and the Self-State Encoder with all that they read and write
// [attention.hpp: what a case is].
#pragma once

#include "kernels/self_state.hpp"
#include "kernels/time_mix.hpp"

namespace metascale::cases {

enum class Layer { first, later };  // the first has no value residual

struct TimeMixOperands {
  TimeMixOperandsForward forward;
  TimeMixOperandsBackward backward;

  template <typename Memory>
  TimeMixOperands(Memory& memory, std::int64_t R, std::int64_t H, std::int64_t N,
                  Layer layer = Layer::later) {
    const Shape rows{R, H * N}, channels{H * N};
    forward = {.k = memory.output(rows),
               .a = memory.output(rows),
               .b = memory.output(rows),
               .inverse_norm = memory.statistic({R, H}),
               .k_raw = memory.random(rows),
               .rate_logit = memory.random(rows),
               .k_k = memory.parameter(channels, 0.3, 0.7),
               .k_a = memory.parameter(channels, 0.2, 1)};
    backward = {.dk_raw = memory.gradient(rows),
                .drate_logit = memory.gradient(rows),
                .dk_k = memory.parameter_gradient(channels),
                .dk_a = memory.parameter_gradient(channels),
                .dk = memory.random(rows),
                .da = memory.random(rows),
                .db = memory.random(rows),
                .inverse_norm = forward.inverse_norm,
                .k_raw = forward.k_raw,
                .rate_logit = forward.rate_logit,
                .k_k = forward.k_k,
                .k_a = forward.k_a};
    if (layer == Layer::later) add_value_residual(memory, rows);
  }

 private:
  template <typename Memory>
  void add_value_residual(Memory& memory, Shape rows) {
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

struct TimeMixOutput {
  TimeMixOutputForward forward;
  TimeMixOutputBackward backward;

  template <typename Memory>
  TimeMixOutput(Memory& memory, std::int64_t R, std::int64_t H, std::int64_t N) {
    const Shape rows{R, H * N}, vectors{R, H, N}, channels{H * N};
    forward = {.out = memory.output(rows),
               .yhat = memory.output(vectors),
               .scale = memory.statistic({R, H}),
               .y = memory.random(vectors, 2, 1),
               .r = memory.random(vectors),
               .k = memory.random(vectors),
               .v = memory.random(vectors),
               .gate = memory.random(rows),
               .weight = memory.parameter(channels, 0.5, 1),
               .bias = memory.parameter(channels),
               .bonus = memory.parameter({H, N})};
    backward = {.dy = memory.gradient(vectors),
                .dr = memory.gradient(vectors),
                .dk = memory.gradient(vectors),
                .dv = memory.gradient(vectors),
                .dgate = memory.gradient(rows),
                .dweight = memory.parameter_gradient(channels),
                .dbias = memory.parameter_gradient(channels),
                .dbonus = memory.parameter_gradient({H, N}),
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

struct SelfStateQuery {
  SelfStateQueryForward forward;
  SelfStateQueryBackward backward;

  template <typename Memory>
  SelfStateQuery(Memory& memory, std::int64_t R, std::int64_t blocks, std::int64_t heads,
                 std::int64_t N) {
    forward = {.q = memory.output({R, heads, N}),
               .inverse_norm = memory.statistic({R, heads}),
               .c = memory.random({R, blocks * N})};
    backward = {.dc = memory.gradient({R, blocks * N}),
                .dq = memory.random({R, heads, N}),
                .q = forward.q,
                .inverse_norm = forward.inverse_norm};
  }
};

struct SelfStateMix {
  SelfStateMixForward forward;
  SelfStateMixBackward backward;

  // heads: of e, of which the first `read` take part.
  template <typename Memory>
  SelfStateMix(Memory& memory, std::int64_t R, std::int64_t blocks, std::int64_t heads,
               std::int64_t read, std::int64_t N) {
    forward = {.z = memory.output({R, blocks * N}),
               .c = memory.random({R, blocks * N}),
               .e = memory.random({R, heads, N}),
               .gamma = memory.parameter({read, N}, 0.5, 1)};
    backward = {.dc = memory.gradient({R, blocks * N}),
                .de = memory.gradient({R, heads, N}),
                .dgamma = memory.parameter_gradient({read, N}),
                .dz = memory.random({R, blocks * N}),
                .e = forward.e,
                .gamma = forward.gamma};
  }
};

}  // namespace metascale::cases
