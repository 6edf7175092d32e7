// The output head with its loss in a memory of its own.
#pragma once

#include "kernels/cases/parameters.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

using cases::ClassifierSizes;

// chunk: rows of logits at a time; 0: as many as the product takes.
struct ClassifierCase : OwnMemory, cases::Classifier {
  ClassifierCase(Dtype dtype, ClassifierSizes size, std::int64_t chunk = 0)
      : OwnMemory{Memory(dtype)},
        Classifier(memory, size, chunk > 0 ? chunk : classifier_chunk(size.R, size.V)) {}
};

// Products of operands that are rounded to bf16, or stored so; then logits may be stored so, too.
struct Bf16ClassifierCase : ClassifierCase {
  explicit Bf16ClassifierCase(ClassifierSizes size, std::int64_t chunk = 0,
                              Dtype stored = Dtype::f32, Dtype logits = Dtype::f32)
      : ClassifierCase(stored, size, chunk) {
    if (logits == Dtype::bf16)
      forward.logits = backward.logits = memory.output(forward.logits.shape, logits);
    use_bf16(memory);
  }
};

}  // namespace metascale::testing
