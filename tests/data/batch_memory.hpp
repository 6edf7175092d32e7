// Memory for a batch, poisoned.
#pragma once

#include <vector>

#include "data/batches.hpp"

namespace metascale::testing {

struct BatchMemory {
  BatchMemory(std::int64_t rows, std::int64_t context)
      : tokens(std::size_t(rows * context), -7),
        targets(tokens),
        segment_ids(tokens),
        weights(tokens.size(), -7.0f),
        batch{.rows = rows,
              .context = context,
              .tokens = tokens.data(),
              .targets = targets.data(),
              .weights = weights.data(),
              .segment_ids = segment_ids.data()} {}
  BatchMemory(const BatchMemory&) = delete;
  BatchMemory& operator=(const BatchMemory&) = delete;

  std::vector<std::int32_t> tokens, targets, segment_ids;
  std::vector<float> weights;
  Batch batch;
};

}  // namespace metascale::testing
