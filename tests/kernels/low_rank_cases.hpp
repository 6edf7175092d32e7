// Low-rank maps' first factors in memories of their own.
#pragma once

#include "kernels/cases/low_rank.hpp"
#include "tests/kernels/reset_cases.hpp"
#include "tests/support/cases.hpp"

namespace metascale::testing {

using cases::Ranks;

struct JoinFactorsCase : OwnMemory, cases::JoinFactors {
  JoinFactorsCase(Dtype dtype, std::int64_t D, const Ranks& ranks)
      : OwnMemory{Memory(dtype)}, JoinFactors(memory, D, ranks) {}
};

struct SplitHiddenCase : OwnMemory, cases::SplitHidden {
  SplitHiddenCase(Dtype dtype, Shape BT, const Ranks& ranks, bool with_previous)
      : OwnMemory{Memory(dtype)}, SplitHidden(memory, BT, ranks, with_previous) {}
};

struct PackedSplitHiddenCase : SplitHiddenCase {
  PackedSplitHiddenCase(Dtype dtype, Shape BT, const Ranks& ranks, const Starts& starts)
      : SplitHiddenCase(dtype, BT, ranks, true) {
    forward.first = backward.first = first_positions(memory, BT[0], BT[1], starts);
  }
};

}  // namespace metascale::testing
