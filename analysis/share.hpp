// Shares of right answers over seeds, and differences of them, with intervals that stay where a
// share can be [docs/analysis.md, "Shares"].
#pragma once

#include <cstdint>
#include <span>

#include "analysis/interval.hpp"

namespace metascale {

struct SeedShare {
  double value = 0;           // in [0, 1]
  std::int64_t examples = 0;  // that it was counted on
};

struct Share {
  double value = 0;   // mean over seeds
  Interval interval;  // unknown with one seed
};

// All seeds are counted on the same examples: their noise is not less for many seeds. The interval
// lies in [0, 1] and holds the value.
Share share_of(std::span<const SeedShare> seeds, double confidence);

// own less others, paired by seed: spans of one length. The interval lies in [-1, 1].
Share share_difference(std::span<const SeedShare> own, std::span<const SeedShare> others,
                       double confidence);

}  // namespace metascale
