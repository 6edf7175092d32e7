// Operators that stop at documents' first tokens, with all that they read and write.
#pragma once

#include <vector>

#include "kernels/cases/elements.hpp"
#include "tests/kernels/attention_cases.hpp"
#include "tests/kernels/token_shift_cases.hpp"

namespace metascale::testing {

using Starts = std::vector<std::int64_t>;

// (B, T) i32: per token, where its document starts. Documents of row b start at 0 and at each of
// starts, plus b, that lies in the row.
inline Tensor first_positions(Memory& memory, std::int64_t B, std::int64_t T,
                              const Starts& starts) {
  Values values;
  for (std::int64_t b = 0; b < B; ++b) {
    Values row(std::size_t(T), 0.0);
    for (const std::int64_t start : starts)
      for (std::int64_t t = start + b; t < T; ++t) row[std::size_t(t)] = double(start + b);
    values.insert(values.end(), row.begin(), row.end());
  }
  const Tensor first = memory.indices({B, T}, 1);
  assign(first, values);
  return first;
}

struct ResetCase : OwnMemory, cases::Reset {
  ResetCase(Dtype dtype, Shape BTD, const Starts& starts, double value)
      : OwnMemory{Memory(dtype)},
        Reset(memory, BTD, first_positions(memory, BTD[0], BTD[1], starts), value) {}
};

struct PackedAttentionCase : AttentionCase {
  PackedAttentionCase(Dtype dtype, Shape BTHN, const Starts& starts) : AttentionCase(dtype, BTHN) {
    forward.first = backward.first = first_positions(memory, BTHN[0], BTHN[1], starts);
  }
};

struct PackedTokenShiftCase : TokenShiftCase {
  PackedTokenShiftCase(Dtype dtype, Shape BTD, int mixes, const Starts& starts)
      : TokenShiftCase(dtype, BTD, mixes, true) {
    forward.first = backward.first = first_positions(memory, BTD[0], BTD[1], starts);
  }
};

}  // namespace metascale::testing
