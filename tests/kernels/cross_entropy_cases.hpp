// The output head with its loss, with all that it reads and writes.
#pragma once

#include "kernels/cross_entropy.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

struct ClassifierSizes {
  std::int64_t R, D, V;
};

// `forward` is the loss alone, `backward` the loss and its gradients.
struct ClassifierCase {
  Memory memory;
  ClassifierLoss forward;
  ClassifierLossAndGradients backward;

  ClassifierCase(Dtype dtype, ClassifierSizes size) : memory(dtype) {
    const auto [R, D, V] = size;
    const Tensor x = memory.random({R, D}), weight = memory.random({V, D});
    const Tensor targets = memory.indices({R}, V);
    const Tensor logits = memory.output({classifier_chunk(R, V), V});
    forward = {.losses = memory.output({R}),
               .x = x,
               .weight = weight,
               .targets = targets,
               .logits = logits};
    backward = {.losses = memory.output({R}),
                .dx = memory.gradient({R, D}),
                .dweight = memory.gradient({V, D}),
                .x = x,
                .weight = weight,
                .targets = targets,
                .scales = memory.random({R}, 0.25, 1.0),
                .logits = logits};
  }
};

struct Bf16ClassifierCase : ClassifierCase {
  explicit Bf16ClassifierCase(ClassifierSizes size) : ClassifierCase(Dtype::f32, size) {
    forward.bf16 = backward.bf16 = true;
    backward.scratch = memory.output({backward.scratch_elements()}, Dtype::bf16);
    forward.scratch = backward.scratch;
  }
};

}  // namespace metascale::testing
