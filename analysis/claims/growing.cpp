// Claim (e): a grown model is no worse than one of its size from scratch, at equal compute of the
// whole lineage.
#include <fmt/format.h>

#include <cmath>

#include "analysis/claims/parts.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

constexpr double alike = 0.05;  // relative difference of parameters and of compute, at most

bool is_grown(const Run& run) { return run.fact("lineage").has_value(); }

bool within(double a, double b) { return std::abs(a / b - 1) <= alike; }

// Same arm or architecture, the same documents scored, as large and as costly.
const Run* from_scratch(const Report& report, const Run& grown) {
  for (const Run& run : report.collection.runs) {
    if (run.state != RunState::done || run.role != "run" || is_grown(run) || run.is_probe())
      continue;
    if (run.architecture != grown.architecture || run.seed != grown.seed) continue;
    if (run.final_evaluation()->digest != grown.final_evaluation()->digest) continue;
    if (within(run.number("parameters").value_or(NAN), grown.number("parameters").value_or(NAN)) &&
        within(run.flops, grown.flops))
      return &run;
  }
  return nullptr;
}

}  // namespace

Claim judge_growing(const Report& report, Claim claim) {
  claim.would_decide = "grown runs beside runs from scratch at equal total compute";
  int as_good = 0, worse = 0, pairs = 0;
  for (const Run& grown : report.collection.runs) {
    if (grown.state != RunState::done || grown.role != "run" || !is_grown(grown) ||
        grown.is_probe())
      continue;
    const Run* scratch = from_scratch(report, grown);
    if (scratch == nullptr) continue;
    try {
      const PairedSeed joined[] = {join_documents(scratch->documents, grown.documents)};
      const PairedResult result =
          paired_difference(joined, {.draws = 2000, .confidence = report.confidence});
      const Interval gain{-result.with_seeds.high / result.first_loss,
                          -result.with_seeds.low / result.first_loss};
      ++pairs, as_good += gain.low > 0 ? 1 : 0, worse += gain.high < 0 ? 1 : 0;
      claim.evidence.push_back({grown.id, share_text(-result.relative) + " " + share_text(gain)});
    } catch (const Error& error) {
      claim.would_decide = concat(grown.id, ": ", error.what());
    }
  }
  if (pairs == 0) return claim;
  claim.measure = "Loss of the grown run below that of one from scratch by";
  claim.verdict = worse > 0          ? Verdict::does_not_hold
                  : as_good == pairs ? Verdict::holds
                                     : Verdict::not_decided;
  claim.would_decide =
      claim.verdict == Verdict::not_decided ? "more seeds, until the intervals exclude 0" : "";
  refuse_subsets(report, claim);
  return claim;
}

}  // namespace metascale
