// Which runs may be compared: the two agree on data, tokenizer, context, schedule, batch, precision
// and evaluation set, and on the matched quantity within tolerance. What does not is listed with
// the reason [docs/analysis.md, "Matched pairs"].
#pragma once

#include <string>
#include <vector>

#include "analysis/collect.hpp"

namespace metascale {

// Why two runs cannot be compared, each reason with both values; empty: they can.
std::vector<std::string> mismatches(const Run& first, const Run& second);

// Two arms at one size and length; both lists hold the same seeds in the same order.
struct MatchedPair {
  std::string first_arm, second_arm;
  std::string size, length;
  std::vector<const Run*> first, second;
};

struct NotComparable {
  std::string first, second;  // run ids, or arms where a whole cell is missing; second may be
                              // empty: the first is compared with none
  std::string size, length;
  std::vector<std::string> reasons;
};

struct Matching {
  std::vector<MatchedPair> pairs;  // earlier arm first, in the order of arms, then of runs
  std::vector<NotComparable> refused;
};

// All pairs of arms per (size, length). Points into the collection, which must outlive the result.
Matching match(const Collection& collection);

}  // namespace metascale
