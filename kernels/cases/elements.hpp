// Operators on elements with all that they read and write [attention.hpp: what a case is].
#pragma once

#include "kernels/elementwise.hpp"
#include "kernels/reset.hpp"
#include "kernels/token_shift.hpp"

namespace metascale::cases {

struct Activation {
  ActivationForward forward;
  ActivationBackward backward;

  template <typename Memory>
  Activation(Memory& memory, Shape shape, ActivationKind kind) {
    const Tensor x = memory.random(shape, 2);
    forward = {.y = memory.output(shape), .x = x, .kind = kind};
    backward = {.dx = memory.gradient(shape), .dy = memory.random(shape), .x = x, .kind = kind};
  }
};

struct Swiglu {
  SwigluForward forward;
  SwigluBackward backward;

  template <typename Memory>
  Swiglu(Memory& memory, Shape shape) {
    const Tensor gate = memory.random(shape, 2), up = memory.random(shape);
    forward = {.y = memory.output(shape), .gate = gate, .up = up};
    backward = {.dgate = memory.gradient(shape),
                .dup = memory.gradient(shape),
                .dy = memory.random(shape),
                .gate = gate,
                .up = up};
  }
};

struct Add {
  AddForward forward;
  Accumulate backward;  // of one summand

  template <typename Memory>
  Add(Memory& memory, Shape shape, int summands) {
    forward = {.y = memory.output(shape), .a = memory.random(shape), .b = memory.random(shape)};
    if (summands == 3) forward.c = memory.random(shape);
    backward = {.dx = memory.gradient(shape), .dy = memory.random(shape)};
  }
};

struct TokenShift {
  TokenShiftForward forward;
  TokenShiftBackward backward;

  template <typename Memory>
  TokenShift(Memory& memory, Shape BTD, int mixes, bool with_previous) {
    const Tensor x = memory.random(BTD);
    forward = {.x = x, .mixes = mixes};
    backward = {.dx = memory.gradient(BTD), .x = x, .mixes = mixes};
    if (with_previous) forward.previous = backward.previous = memory.parameter({BTD[0], BTD[2]});
    for (std::size_t m = 0; m < std::size_t(mixes); ++m) {
      forward.y[m] = memory.output(BTD);
      forward.mix[m] = backward.mix[m] = memory.parameter({BTD[2]}, 0.3, 0.5);
      backward.dmix[m] = memory.parameter_gradient({BTD[2]});
      backward.dy[m] = memory.random(BTD);
    }
  }
};

struct Reset {
  ResetForward forward;
  ResetBackward backward;

  // first: (B, T) i32, where each token's document starts.
  template <typename Memory>
  Reset(Memory& memory, Shape BTD, const Tensor& first, double value) {
    forward = {.y = memory.output(BTD), .x = memory.random(BTD), .first = first, .value = value};
    backward = {.dx = memory.gradient(BTD), .dy = memory.random(BTD), .first = first};
  }
};

}  // namespace metascale::cases
