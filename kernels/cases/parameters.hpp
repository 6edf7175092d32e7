// Operators on matrices of parameters with all that they read and write: products, the head,
// embeddings, the optimizer [attention.hpp: what a case is].
#pragma once

#include <algorithm>

#include "kernels/cross_entropy.hpp"
#include "kernels/embedding.hpp"
#include "kernels/matmul.hpp"
#include "kernels/optimizer.hpp"

namespace metascale::cases {

struct ClassifierSizes {
  std::int64_t R, D, V;
};

// `forward` is the loss alone, `backward` the loss and its gradients. chunk: rows of logits at a
// time. Logits are f32 where activations are bf16, as a run has them.
struct Classifier {
  ClassifierLoss forward;
  ClassifierLossAndGradients backward;

  template <typename Memory>
  Classifier(Memory& memory, ClassifierSizes size, std::int64_t chunk, double weight_scale = 1) {
    const auto [R, D, V] = size;
    const Tensor x = memory.random({R, D}), weight = memory.random({V, D}, weight_scale);
    const Tensor targets = memory.indices({R}, V), logits = memory.statistic({chunk, V});
    forward = {.losses = memory.statistic({R}),
               .x = x,
               .weight = weight,
               .targets = targets,
               .logits = logits};
    backward = {.losses = memory.statistic({R}),
                .dx = memory.gradient({R, D}),
                .dweight = memory.parameter_gradient({V, D}),
                .x = x,
                .weight = weight,
                .targets = targets,
                .scales = memory.parameter({R}, 0.25, 1.0),
                .logits = logits};
  }

  // Products of bf16, with the room that rounded operands need.
  template <typename Memory>
  void use_bf16(Memory& memory) {
    forward.bf16 = backward.bf16 = true;
    if (const std::int64_t elements = backward.scratch_elements(); elements > 0)
      forward.scratch = backward.scratch = memory.output({elements}, Dtype::bf16);
  }
};

struct Embedding {
  EmbeddingForward forward;
  EmbeddingBackward backward;

  // R tokens of a vocabulary of V; where R > V some token is met twice.
  template <typename Memory>
  Embedding(Memory& memory, std::int64_t R, std::int64_t V, std::int64_t D) {
    const Tensor tokens = memory.indices({R}, V);
    forward = {.y = memory.output({R, D}), .tokens = tokens, .weight = memory.random({V, D})};
    backward = {.dweight = memory.parameter_gradient({V, D}),
                .dy = memory.random({R, D}),
                .tokens = tokens};
  }
};

struct AdamStep {
  AdamW forward;

  // n parameters of one group.
  template <typename Memory>
  AdamStep(Memory& memory, std::int64_t n, std::int64_t time)
      : AdamStep(memory, {{.count = n}}, {{.rate = 0.01, .weight_decay = 0.1, .time = time}}) {}

  template <typename Memory>
  AdamStep(Memory& memory, const std::vector<AdamSegment>& segments,
           const std::vector<AdamGroup>& groups) {
    AdamExtents extents{.groups = std::int64_t(groups.size())};
    for (const AdamSegment& segment : segments) {
      extents.parameters = std::max(extents.parameters, segment.first + segment.count);
      extents.moments += segment.count;
    }
    const auto cut = cut_segments(segments, extents);
    const Shape table{std::int64_t(cut.size()), AdamSegment::words};
    forward = {.parameters = memory.parameter({extents.parameters}),
               .m = memory.parameter({extents.moments}),
               .v = memory.positive({extents.moments}),
               .gradients = memory.parameter({extents.parameters}),
               .segments = memory.given(table, Dtype::i32, cut.data()),
               .groups = groups,
               .gradient_scale = 0.5};
  }
};

struct Squares {
  SumOfSquares forward;

  template <typename Memory>
  Squares(Memory& memory, std::int64_t n) {
    const std::int64_t blocks = (n + SumOfSquares::block - 1) / SumOfSquares::block;
    forward = {.sum = memory.output({1}, Dtype::f64),
               .x = memory.parameter({n}),
               .partials = memory.output({blocks}, Dtype::f64)};
  }
};

}  // namespace metascale::cases
