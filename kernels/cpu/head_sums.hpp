// Row passes that also sum over the rows, one sum per channel, as gradients of per-channel
// parameters need it. Threads share the heads and go through all rows in order, so the sums' bits
// do not depend on the number of threads; unlike columns.hpp, the pass may do anything else with
// its heads on the way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/parallel.hpp"
#include "kernels/queue.hpp"

namespace metascale {

inline constexpr std::int64_t head_sums_columns = 512;  // summed side by side, at least one head's
inline constexpr std::int64_t head_sums_rows = 128;     // whose sum is added to the total

struct HeadRange {
  std::int64_t row, first, last;  // heads [first, last)
};

// add_row(partial, range) adds the terms of one row: partial[s][(h - range.first) N + n].
template <int Sums, typename T, typename AddRow>
void sum_by_heads(int threads, const std::array<std::int64_t, 3>& extents,  // R, H, N
                  const std::array<T*, std::size_t(Sums)>& targets,
                  const std::array<bool, std::size_t(Sums)>& fresh, AddRow&& add_row) {
  const auto [R, H, N] = extents;
  const std::int64_t heads_at_once = std::max<std::int64_t>(1, head_sums_columns / N);
  parallel_for(threads, H, [&, R = R, N = N](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += heads_at_once) {
      const std::int64_t last = std::min(first + heads_at_once, end), width = (last - first) * N;
      T total[Sums][head_sums_columns] = {};
      for (std::int64_t row = 0; row < R;) {
        T partial[Sums][head_sums_columns] = {};
        for (const std::int64_t stop = std::min(row + head_sums_rows, R); row < stop; ++row)
          add_row(partial, HeadRange{row, first, last});
        for (int sum = 0; sum < Sums; ++sum)
          for (std::int64_t i = 0; i < width; ++i) total[sum][i] += partial[sum][i];
      }
      for (int sum = 0; sum < Sums; ++sum)
        for (std::int64_t i = 0; i < width; ++i)
          accumulate(targets[std::size_t(sum)][first * N + i], total[sum][i],
                     fresh[std::size_t(sum)]);
    }
  });
}

}  // namespace metascale
