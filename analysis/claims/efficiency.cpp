// Claim (g): lower loss at equal FLOPs and at equal device-hours. Of each matched pair the paired
// gain, less what the baseline would gain by the FLOPs or hours that the arm used more: with s the
// slope of ln L against ln C between the baseline's neighbouring sizes,
// gain at equal cost = paired gain + s ln(cost of the arm / cost of the baseline).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/claims/parts.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

// d ln L / d ln C of the arm about the cell's FLOPs, from the measured losses of the cell's
// neighbours in size; NaN if it is the only one of its length.
double slope_about(const Report& report, const Cell& cell) {
  const Cell *below = &cell, *above = &cell;
  for (const Cell& other : report.cells) {
    if (other.arm != cell.arm || other.length != cell.length) continue;
    const double flops = other.training_flops;
    if (flops < cell.training_flops && (below == &cell || flops > below->training_flops))
      below = &other;
    if (flops > cell.training_flops && (above == &cell || flops < above->training_flops))
      above = &other;
  }
  return std::log(above->loss / below->loss) /
         std::log(above->training_flops / below->training_flops);
}

// The arm's cost over the baseline's for the same FLOPs twice: in FLOPs, and in hours. Hours of
// different devices, numbers of devices or of threads are not compared: NaN.
double hours_ratio(const Cell& arm, const Cell& base) {
  if (!(base.hours > 0) || !(arm.hours > 0)) return std::nan("");
  for (const char* key : {"device", "threads", "ranks"})
    if (base.runs.front()->fact(key) != arm.runs.front()->fact(key)) return std::nan("");
  return arm.hours / base.hours;
}

struct AtEqualCost {
  double gain = std::nan("");
  Interval interval;
};

AtEqualCost at_equal_cost(const Comparison& comparison, double slope, double cost_ratio) {
  const double correction = slope * std::log(cost_ratio);
  const Interval paired = comparison.interval();
  return {comparison.gain() + correction, {paired.low + correction, paired.high + correction}};
}

std::string words_of(const char* cost, const AtEqualCost& value) {
  return std::isfinite(value.gain) ? fmt::format("at equal {} {} {}", cost, share_text(value.gain),
                                                 share_text(value.interval))
                                   : fmt::format("{} not comparable", cost);
}

}  // namespace

Claim judge_efficiency(const Report& report, Claim claim, const std::string& subject,
                       const std::string& other) {
  claim.would_decide = "matched pairs at two sizes or more";
  int better = 0, worse = 0, judged = 0;
  bool hours_unknown = false;
  for (const Comparison& comparison : comparisons(report, subject, other)) {
    const bool forward = comparison.sign > 0;
    const Cell &arm = forward ? *comparison.pair->second : *comparison.pair->first,
               &base = forward ? *comparison.pair->first : *comparison.pair->second;
    const double slope = slope_about(report, base);
    if (!std::isfinite(slope)) continue;
    const AtEqualCost flops =
        at_equal_cost(comparison, slope, arm.training_flops / base.training_flops);
    const AtEqualCost hours = at_equal_cost(comparison, slope, hours_ratio(arm, base));
    ++judged;
    hours_unknown = hours_unknown || !std::isfinite(hours.gain);
    better += flops.interval.low > 0 && hours.interval.low > 0 ? 1 : 0;  // NaN: not known
    worse += flops.interval.high < 0 || hours.interval.high < 0 ? 1 : 0;
    claim.evidence.push_back({arm.size + " " + length_words(arm.length),
                              words_of("FLOPs", flops) + ", " + words_of("hours", hours)});
  }
  if (judged == 0) return claim;
  claim.would_decide = hours_unknown
                           ? "runs of both arms on the same device with the same number of threads"
                           : "more seeds at the sizes whose interval contains 0";
  claim.measure = fmt::format("Loss of {} below that of {}", subject, other);
  claim.verdict = worse > 0          ? Verdict::does_not_hold
                  : better == judged ? Verdict::holds
                                     : Verdict::not_decided;
  if (claim.verdict != Verdict::not_decided) claim.would_decide.clear();
  refuse_subsets(report, claim);
  return claim;
}

}  // namespace metascale
