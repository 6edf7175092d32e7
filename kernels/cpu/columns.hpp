// Sums over the rows of a matrix, one sum per column, whose bits do not depend on the number of
// threads: threads share the columns, and each column's rows are summed in order, in chunks of
// column_chunk rows whose sums are then added in order (which also keeps the rounding of a long f32
// sum small).
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/parallel.hpp"
#include "kernels/queue.hpp"

namespace metascale {

inline constexpr std::int64_t column_block = 32;   // columns that one thread sums at a time
inline constexpr std::int64_t column_chunk = 128;  // rows

struct Range {
  std::int64_t first, last;
};

// targets[s][column] (+)= the sum over R rows of term s, for Sums terms side by side (dweight and
// dbias); a target of nullptr is left out. add_rows(partial, rows, columns) adds the terms of these
// rows and columns to partial[s][column - columns.first]: it is where the loops over elements are.
template <int Sums, typename T, typename AddRows>
void sum_columns(int threads, std::int64_t R, std::int64_t columns,
                 const std::array<T*, std::size_t(Sums)>& targets,
                 const std::array<bool, std::size_t(Sums)>& fresh, AddRows&& add_rows) {
  const std::int64_t blocks = (columns + column_block - 1) / column_block;
  parallel_for(threads, blocks, [&](std::int64_t first_block, std::int64_t last_block) {
    for (std::int64_t block = first_block; block < last_block; ++block) {
      const Range range{block * column_block, std::min((block + 1) * column_block, columns)};
      const std::int64_t width = range.last - range.first;
      T total[Sums][column_block] = {};
      for (std::int64_t row = 0; row < R; row += column_chunk) {
        T partial[Sums][column_block] = {};
        add_rows(partial, Range{row, std::min(row + column_chunk, R)}, range);
        for (int sum = 0; sum < Sums; ++sum)
          for (std::int64_t i = 0; i < width; ++i) total[sum][i] += partial[sum][i];
      }
      for (std::size_t sum = 0; sum < std::size_t(Sums); ++sum)
        for (std::int64_t i = 0; i < width && targets[sum] != nullptr; ++i)
          accumulate(targets[sum][range.first + i], total[sum][i], fresh[sum]);
    }
  });
}

}  // namespace metascale
