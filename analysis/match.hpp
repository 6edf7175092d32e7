// Which runs may be compared: the two agree on data, tokenizer, context, schedule, batch, precision
// and evaluation set, and on the matched quantity within tolerance. What does not is listed with
// the reason [docs/analysis.md, "Matched pairs"].
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/collect.hpp"

namespace metascale {

// Why two runs cannot be compared, each reason with both values; empty: they can. A grown run and
// the one from scratch that its sweep set beside it are held to growth_mismatches.
std::vector<std::string> mismatches(const Run& first, const Run& second);

// What is left between two runs that agree: MatchedPair::residual.
double residual_mismatch(const Run& first, const Run& second);

bool is_grown(const Run& run);
// Grown, or from scratch beside a grown one: its tokens follow from the growth, not from its
// length.
bool has_own_tokens(const Run& run);

// What a run from scratch has as much of as the grown run beside it: the compute of the whole
// lineage, or that since the last growth.
enum class ScratchCompute { total, added };
ScratchCompute scratch_compute_of(const Run& scratch);

// The same for a grown run and one from scratch. By nature they differ in tokens, steps and
// schedule and enter the data at different steps: the order of the data is compared with its seeds,
// not by running digests. tolerance: of the compute, as "5%"; empty: the logged one.
std::vector<std::string> growth_mismatches(const Run& scratch, const Run& grown,
                                           ScratchCompute compute, std::string_view tolerance = "");

// Two arms at one size and length; both lists hold the same seeds in the same order.
struct MatchedPair {
  std::string first_arm, second_arm;
  std::string size, length;
  std::vector<const Run*> first, second;
  // What matching left over: second minus first of the matched quantity, as a share of its target;
  // of seeds that differ in it the largest. NaN where no log has a target.
  double residual = std::numeric_limits<double>::quiet_NaN();
};

struct NotComparable {
  std::string first, second;  // run ids, or arms where a whole cell is missing; second may be
                              // empty: the first is compared with none
  std::string size, length;
  std::vector<std::string> reasons;

  bool is_pair() const { return !second.empty(); }
};

struct Matching {
  std::vector<MatchedPair> pairs;  // earlier arm first, in the order of arms, then of runs
  std::vector<NotComparable> refused;
};

// All pairs of arms per (size, length). Points into the collection, which must outlive the result.
Matching match(const Collection& collection);

}  // namespace metascale
