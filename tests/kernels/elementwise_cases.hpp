// Elementwise operators in memories of their own.
#pragma once

#include "kernels/cases/elements.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct ActivationCase : OwnMemory, cases::Activation {
  ActivationCase(Dtype dtype, Shape shape, ActivationKind kind)
      : OwnMemory{Memory(dtype)}, Activation(memory, shape, kind) {}
};

struct SwigluCase : OwnMemory, cases::Swiglu {
  SwigluCase(Dtype dtype, Shape shape) : OwnMemory{Memory(dtype)}, Swiglu(memory, shape) {}
};

struct AddCase : OwnMemory, cases::Add {
  AddCase(Dtype dtype, Shape shape, int summands)
      : OwnMemory{Memory(dtype)}, Add(memory, shape, summands) {}
};

}  // namespace metascale::testing
