// Elementwise loops in blocks of fixed size, so that where vectors begin and end, and with it the
// last bit, does not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/parallel.hpp"

namespace metascale {

inline constexpr std::int64_t element_block = 4096;

// Calls body(begin, end) for every block of [0, count).
template <typename Body>
void for_blocks(int threads, std::int64_t count, Body&& body) {
  const std::int64_t blocks = (count + element_block - 1) / element_block;
  parallel_for(threads, blocks, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block)
      body(block * element_block, std::min((block + 1) * element_block, count));
  });
}

}  // namespace metascale
