// What the claims on probes share: positive controls, and the evidence of two arms' answers.
#pragma once

#include <span>
#include <string>

#include "analysis/probes.hpp"

namespace metascale {

// Cells that show that models of this size and training learn at all.
struct ProbeControl {
  const char* words;
  bool (*is_of)(const Cell&);
};
// RWKV-7 above 99 % of the answers on S3 or S5 by swaps, a Transformer on MQAR (64, 4).
std::span<const ProbeControl> tracking_controls();  // both
std::span<const ProbeControl> recall_controls();    // the Transformer

// The controls that no cell passed, of those that speak for `cell` (nullptr: of all), and how far
// they came; empty: all are passed.
std::string unpassed(const Report& report, std::span<const ProbeControl> controls,
                     const Cell* cell);
std::string training_until_passed(const std::string& missing);  // what would decide a claim

// The subject's cell; nullptr: there is none.
const Cell* cell_of(const Report& report, const ProbeDifference& entry);

void add_evidence(const ProbeDifference& entry, const std::string& where, Claim& claim);

}  // namespace metascale
