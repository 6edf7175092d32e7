// Low-rank maps' first factors as one product, with all that the operators read and write
// [attention.hpp: what a case is].
#pragma once

#include <vector>

#include "kernels/low_rank.hpp"

namespace metascale::cases {

using Ranks = std::vector<std::int64_t>;  // of each map

inline std::int64_t columns_of_both(const Ranks& ranks) {
  std::int64_t sum = 0;
  for (const std::int64_t rank : ranks) sum += 2 * rank;
  return sum;
}

struct JoinFactors {
  JoinFactorsForward forward;
  JoinFactorsBackward backward;

  template <typename Memory>
  JoinFactors(Memory& memory, std::int64_t D, const Ranks& ranks) {
    const std::int64_t both = columns_of_both(ranks);
    const int maps = int(ranks.size());
    forward = {.joined = memory.output({D, both}), .maps = maps};
    backward = {.djoined = memory.parameter({D, both}), .maps = maps};
    for (std::size_t m = 0; m < ranks.size(); ++m) {
      forward.weight[m] = backward.weight[m] = memory.parameter({D, ranks[m]});
      forward.mix[m] = backward.mix[m] = memory.parameter({D}, 0.3, 0.5);
      backward.dweight[m] = memory.parameter_gradient({D, ranks[m]});
      backward.dmix[m] = memory.parameter_gradient({D});
    }
  }
};

struct SplitHidden {
  SplitHiddenForward forward;
  SplitHiddenBackward backward;

  template <typename Memory>
  SplitHidden(Memory& memory, Shape BT, const Ranks& ranks, bool with_previous) {
    constexpr HiddenKinds kinds{HiddenKind::tanh, HiddenKind::linear, HiddenKind::sigmoid,
                                HiddenKind::linear};
    const std::int64_t B = BT[0], T = BT[1], both = columns_of_both(ranks);
    const int maps = int(ranks.size());
    forward = {.product = memory.random({B, T, both}), .kind = kinds, .maps = maps};
    backward = {.dproduct = memory.gradient({B, T, both}), .kind = kinds, .maps = maps};
    if (with_previous) {
      forward.previous = memory.parameter({B, both});
      backward.dprevious = memory.gradient({B, both});
    }
    for (std::size_t m = 0; m < ranks.size(); ++m) {
      forward.hidden[m] = backward.hidden[m] = memory.output({B, T, ranks[m]});
      backward.dhidden[m] = memory.random({B, T, ranks[m]});
    }
  }
};

}  // namespace metascale::cases
