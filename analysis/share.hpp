// Shares of right answers over seeds, and differences of them, with intervals that stay
// where a share can be [docs/analysis.md, "Shares"].
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <tuple>
#include <vector>

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

// Shares with their intervals. Tables, page, figures and files ask for the same ones: what
// is drawn for one is kept. For several threads at once.
class ShareIntervals {
 public:
  // All seeds are counted on the same examples: their noise is not less for many seeds. The
  // interval lies in [0, 1] and holds the value.
  Share of(std::span<const SeedShare> seeds, double confidence);

  // own less others, paired by seed: spans of one length. The interval lies in [-1, 1].
  Share difference(std::span<const SeedShare> own, std::span<const SeedShare> others,
                   double confidence);

 private:
  struct Draw {
    double student, normal;
  };
  const std::vector<Draw>& draws_of(std::int64_t degrees);  // under the lock
  double half_width(std::int64_t degrees, double seed_error, double example_error,
                    double confidence);
  Interval interval_by_angle(const std::vector<double>& values, double variance, double confidence);

  std::mutex mutex_;
  std::map<std::int64_t, std::vector<Draw>> draws_;
  std::map<std::tuple<std::int64_t, double, double, double>, double> half_widths_;
};

}  // namespace metascale
