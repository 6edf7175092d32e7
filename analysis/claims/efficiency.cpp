// Claim (g): lower loss at equal FLOPs and at equal device-hours. Of each matched pair the paired
// gain, less what the baseline would gain by the FLOPs or hours that the arm used more: with s the
// slope of ln L against ln C between the baseline's neighbouring sizes,
// gain at equal cost = paired gain + s ln(cost of the arm / cost of the baseline).
// Intervals draw all three: the pair's documents and seeds, the seeds of the cells that give the
// slope, and the seeds' costs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "analysis/claims/parts.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// Hours of seeds that differ by more were not measured alike, and are not compared.
constexpr double alike_hours = 1.3;
constexpr std::uint64_t cost_stream = 0xc057000000000000u;  // apart from the pairs' draws

// d ln L / d ln C of a baseline about one of its cells.
struct Slope {
  SeedMean below, above;       // ln L of the neighbouring cells
  double span = std::nan("");  // ln of the ratio of their FLOPs; NaN: the cell has no neighbour

  double draw(CounterRandom& random) const {
    const double low = below.draw(random);
    return (above.draw(random) - low) / span;
  }
};

SeedMean log_loss(const Report& report, const Cell& cell) {
  std::vector<double> losses;
  for (const Run* run : cell.runs) losses.push_back(std::log(run->final_loss()));
  return mean_over_seeds(losses, report.seed_deviation);
}

// From the measured losses of the cell's neighbours in size, at its length.
Slope slope_about(const Report& report, const Cell& cell) {
  const Cell *below = &cell, *above = &cell;
  for (const Cell& other : report.cells) {
    if (other.arm != cell.arm || other.length != cell.length) continue;
    const double flops = other.training_flops;
    if (flops < cell.training_flops && (below == &cell || flops > below->training_flops))
      below = &other;
    if (flops > cell.training_flops && (above == &cell || flops < above->training_flops))
      above = &other;
  }
  if (below == above) return {};
  return {log_loss(report, *below), log_loss(report, *above),
          std::log(above->training_flops / below->training_flops)};
}

// What an arm's runs cost over what the baseline's did.
struct CostRatio {
  SeedMean log;
  std::string problem;  // why it is not known; empty: it is
  std::string remedy;
};

CostRatio flops_ratio(const Cell& arm, const Cell& base) {
  return {{std::log(arm.training_flops / base.training_flops)}, "", ""};
}

const Run* parent_of(const Report& report, const Run& run) {
  for (const Run& other : report.collection.runs)
    if (!run.parent.empty() && other.id == run.parent) return &other;
  return nullptr;
}

// Hours of the lineage: of each of its runs the median seconds of a step times its steps, so that
// a machine that stood still for some of them does not count. NaN where a part is not known.
double device_hours(const Report& report, const Run& last) {
  double hours = 0;
  std::int64_t until = last.steps;
  for (const Run* run = &last; run != nullptr; run = parent_of(report, *run)) {
    const std::int64_t own = until - run->inherited.step;
    if (own <= 0) break;  // no log of a lineage says this
    hours += run->step_seconds * double(own) / 3600;
    if (run->inherited.step == 0) return hours;
    until = run->inherited.step;
  }
  return std::nan("");
}

std::vector<double> log_hours(const Report& report, const std::vector<const Run*>& runs) {
  std::vector<double> logs;
  for (const Run* run : runs) logs.push_back(std::log(device_hours(report, *run)));
  return logs;
}

double spread_of(const std::vector<double>& logs) {
  const auto [least, most] = std::minmax_element(logs.begin(), logs.end());
  return std::exp(*most - *least);
}

// Hours of unlike devices, numbers of devices or of threads are not compared. Of one seed, the
// allowed spread is taken for two standard deviations.
CostRatio hours_ratio(const Report& report, const Comparison& comparison) {
  const Run& one = *comparison.mine().front();
  for (const auto* runs : {&comparison.mine(), &comparison.theirs()})
    for (const Run* run : *runs)
      for (const char* key : {"device", "threads", "ranks"})
        if (run->fact(key) != one.fact(key))
          return {{},
                  concat(key, " differs"),
                  "runs of both arms on the same device with the same number of threads"};
  const std::vector<double> mine = log_hours(report, comparison.mine()),
                            theirs = log_hours(report, comparison.theirs());
  std::vector<double> ratios;
  for (std::size_t i = 0; i < mine.size(); ++i) ratios.push_back(mine[i] - theirs[i]);
  const SeedMean mean = mean_over_seeds(ratios, std::log(alike_hours) / 2 * std::sqrt(2.0));
  if (!std::isfinite(mean.value))
    return {{}, "not logged", "logs with the seconds of the steps of both arms and their lineages"};
  const double spread = std::max(spread_of(mine), spread_of(theirs));
  if (spread > alike_hours)
    return {{},
            fmt::format("those of the seeds differ by {:.3g} times", spread),
            fmt::format("runs that nothing else slows: hours of the seeds within {} times of "
                        "each other",
                        alike_hours)};
  return {mean, "", ""};
}

struct AtEqualCost {
  double gain = std::nan("");
  Interval interval;
};

AtEqualCost at_equal_cost(const Comparison& comparison, const Slope& slope, const CostRatio& ratio,
                          double confidence) {
  if (!ratio.problem.empty()) return {};
  const double middle = (slope.above.value - slope.below.value) / slope.span;
  std::vector<double> draws;
  for (const double nats : comparison.pair->result.draws) {
    CounterRandom random(cost_stream, draws.size());
    const double correction = slope.draw(random) * ratio.log.draw(random);
    draws.push_back(comparison.share(nats) + correction);
  }
  return {comparison.gain() + middle * ratio.log.value,
          percentile_interval(std::move(draws), confidence)};
}

std::string words_of(const char* cost, const AtEqualCost& value, const CostRatio& ratio) {
  if (!ratio.problem.empty()) return fmt::format("{} not comparable: {}", cost, ratio.problem);
  return fmt::format("at equal {} {} {}", cost, share_text(value.gain), share_text(value.interval));
}

}  // namespace

Claim judge_efficiency(const Report& report, Claim claim, const std::string& subject,
                       const std::string& other) {
  claim.would_decide = "matched pairs at two sizes or more";
  int better = 0, worse = 0;
  std::set<Place> judged;
  std::string remedy;
  for (const Comparison& comparison : comparisons(report, subject, other)) {
    const bool forward = comparison.sign > 0;
    const Cell &arm = forward ? *comparison.pair->second : *comparison.pair->first,
               &base = forward ? *comparison.pair->first : *comparison.pair->second;
    const Slope slope = slope_about(report, base);
    if (!std::isfinite(slope.span)) continue;
    const CostRatio by_flops = flops_ratio(arm, base), by_hours = hours_ratio(report, comparison);
    const AtEqualCost flops = at_equal_cost(comparison, slope, by_flops, report.confidence);
    const AtEqualCost hours = at_equal_cost(comparison, slope, by_hours, report.confidence);
    judged.insert(place_of(comparison));
    if (remedy.empty()) remedy = by_hours.remedy;
    better += flops.interval.low > 0 && hours.interval.low > 0 ? 1 : 0;  // NaN: not known
    worse += flops.interval.high < 0 || hours.interval.high < 0 ? 1 : 0;
    claim.evidence.push_back(
        {words_of(place_of(comparison)),
         words_of("FLOPs", flops, by_flops) + ", " + words_of("hours", hours, by_hours)});
    claim.values.push_back(
        value_of(comparison, "relative_gain_at_equal_flops", flops.gain, flops.interval));
    if (by_hours.problem.empty())
      claim.values.push_back(
          value_of(comparison, "relative_gain_at_equal_hours", hours.gain, hours.interval));
  }
  if (judged.empty()) return claim;
  const bool all_better = better == int(judged.size());
  const std::size_t missing = places_missing(report, subject, other, judged);
  claim.would_decide =
      !remedy.empty() ? remedy
      : all_better    ? words_of_missing(missing) + ", with a size of the baseline next to each"
                      : "more seeds at the sizes whose interval contains 0";
  claim.measure = fmt::format("Loss of {} below that of {}", subject, other);
  claim.verdict = worse > 0                    ? Verdict::does_not_hold
                  : all_better && missing == 0 ? Verdict::holds
                                               : Verdict::not_decided;
  if (claim.verdict != Verdict::not_decided) claim.would_decide.clear();
  refuse_subsets(report, claim);
  return claim;
}

}  // namespace metascale
