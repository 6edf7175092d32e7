// Where documents start among the rows of (B, T, ...): nothing flows from one to the next.
#pragma once

#include <cstdint>

namespace metascale {

struct Documents {
  const std::int32_t* first;  // nullptr: no document starts within a sequence
  std::int64_t length;        // T

  constexpr bool starts(std::int64_t row) const { return first && first[row] == row % length; }
  // Whether no token comes after this one, in its sequence and document.
  constexpr bool ends(std::int64_t row) const { return (row + 1) % length == 0 || starts(row + 1); }
};

}  // namespace metascale
