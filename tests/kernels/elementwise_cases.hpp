// Elementwise operators with all that they read and write.
#pragma once

#include "kernels/elementwise.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct ActivationCase {
  Memory memory;
  ActivationForward forward;
  ActivationBackward backward;

  ActivationCase(Dtype dtype, Shape shape, ActivationKind kind) : memory(dtype) {
    const Tensor x = memory.random(shape, 2);
    forward = {.y = memory.output(shape), .x = x, .kind = kind};
    backward = {.dx = memory.gradient(shape), .dy = memory.random(shape), .x = x, .kind = kind};
  }
};

struct SwigluCase {
  Memory memory;
  SwigluForward forward;
  SwigluBackward backward;

  SwigluCase(Dtype dtype, Shape shape) : memory(dtype) {
    const Tensor gate = memory.random(shape, 2), up = memory.random(shape);
    forward = {.y = memory.output(shape), .gate = gate, .up = up};
    backward = {.dgate = memory.gradient(shape),
                .dup = memory.gradient(shape),
                .dy = memory.random(shape),
                .gate = gate,
                .up = up};
  }
};

struct AddCase {
  Memory memory;
  AddForward forward;
  Accumulate backward;  // of one summand

  AddCase(Dtype dtype, Shape shape, int summands) : memory(dtype) {
    forward = {.y = memory.output(shape), .a = memory.random(shape), .b = memory.random(shape)};
    if (summands == 3) forward.c = memory.random(shape);
    backward = {.dx = memory.gradient(shape), .dy = memory.random(shape)};
  }
};

}  // namespace metascale::testing
