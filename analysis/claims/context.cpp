// Claim (c): by exponents of the cost of one token in the length of its context. Linear cost of a
// text is an exponent of 0, and constant memory one of 0 of what generation carries at a position,
// by formula, with no growth of the process measured beside it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "analysis/claims/parts.hpp"

namespace metascale {
namespace {

constexpr double flat = 0.1;          // exponents below this grow by 1.26 at most over ten times
constexpr double flat_share = 0.1;    // of what attention's cache takes for a further token
constexpr double least_lengths = 16;  // times the shortest length, that a curve must span

// One of the things that must all be flat.
struct CostGrowth {
  const char* words;
  const char* measure;
  double value = 0;
  Interval interval;
  double bound = flat;
  double span = 0;  // of its curve: longest length over shortest

  bool is_known() const { return span >= least_lengths && interval.known(); }
  bool is_flat() const { return is_known() && interval.high < bound; }
  bool grows() const { return is_known() && interval.low > bound; }
};

double span_of(const std::vector<ContextPoint>& curve) {
  return curve.empty() ? 0 : double(curve.back().tokens) / double(curve.front().tokens);
}

std::string words_of(double value, const Interval& interval) {
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", value, interval.low, interval.high);
}

std::optional<CostGrowth> of_exponent(const ContextModel& model, const char* quantity,
                                      const char* words) {
  const ContextExponent* fit = model.exponent(quantity);
  if (fit == nullptr) return std::nullopt;
  return CostGrowth{words,         quantity, fit->value,
                    fit->interval, flat,     span_of(model.curve(quantity))};
}

// Only where the same measurement shows attention's cache grow: at short contexts it may not, for a
// cache is taken in blocks.
std::optional<CostGrowth> of_measured_memory(const ContextCosts& costs, const ContextModel& model) {
  const ContextModel* attention = costs.find("transformer");
  if (attention == nullptr) attention = costs.find("transformer_pp");
  if (attention == nullptr) return std::nullopt;
  const auto cache = measured_growth(*attention, *attention);
  const auto growth = measured_growth(model, *attention);
  if (!growth || !cache || !(cache->interval.low > flat_share)) return std::nullopt;
  return CostGrowth{"growth of the process in generation, as a share of an attention cache's",
                    "measured_memory_growth",
                    growth->share,
                    growth->interval,
                    flat_share,
                    span_of(model.generation)};
}

std::string needed(bool memory_measured, int known, int all) {
  if (known == all) return "longer contexts or more repeats, until the intervals exclude the bound";
  if (!memory_measured)
    return "generation's resident memory, measured for meta_state and for a Transformer, whose "
           "cache it must show growing: so far memory is as computed";
  return fmt::format("all {} curves over lengths that span {} times", all, least_lengths);
}

// Half of the claim: time, or memory. All of its curves must be flat.
struct CostPart {
  std::vector<std::optional<CostGrowth>> curves;

  int count(bool (*is_so)(const CostGrowth&)) const {
    return int(std::count_if(curves.begin(), curves.end(),
                             [&](const auto& growth) { return growth && is_so(*growth); }));
  }
  Verdict verdict() const {
    if (count([](const CostGrowth& growth) { return growth.grows(); }) > 0)
      return Verdict::does_not_hold;
    const int flat_ones = count([](const CostGrowth& growth) { return growth.is_flat(); });
    if (flat_ones == int(curves.size())) return Verdict::holds;
    return count([](const CostGrowth&) { return true; }) > 0 ? Verdict::not_decided
                                                             : Verdict::no_data;
  }
};

Verdict verdict_of(Verdict time, Verdict memory) {
  if (time == Verdict::does_not_hold || memory == Verdict::does_not_hold)
    return Verdict::does_not_hold;
  return time == Verdict::holds && memory == Verdict::holds ? Verdict::holds : Verdict::not_decided;
}

void show(const ContextModel& model, const CostPart& part, Claim& claim) {
  for (const auto& growth : part.curves) {
    if (!growth) continue;
    claim.evidence.push_back({growth->words, words_of(growth->value, growth->interval)});
    claim.values.push_back(
        {model.architecture, "", "", "", growth->measure, growth->value, growth->interval, ""});
  }
}

}  // namespace

Claim judge_context(const Report& report, Claim claim) {
  claim.would_decide =
      "measurements of time and memory over context lengths: context.json of "
      "`metascale bench context --json` in the results folder";
  const auto& costs = report.collection.context;
  const ContextModel* model = costs ? costs->find("meta_state") : nullptr;
  if (model == nullptr) return claim;
  const auto measured = of_measured_memory(*costs, *model);
  const CostPart time{{of_exponent(*model, "training_seconds", "training time"),
                       of_exponent(*model, "generation_seconds", "generation time")}};
  const CostPart memory{{of_exponent(*model, "generation_bytes",
                                     "all that generation carries at a position, as computed"),
                         measured}};
  show(*model, time, claim), show(*model, memory, claim);
  if (claim.evidence.empty()) return claim;
  claim.measure = fmt::format(
      "Exponent of a token's cost in the context (flat: below {}), and measured growth of memory "
      "(below {} of a cache's)",
      flat, flat_share);
  claim.verdict = verdict_of(time.verdict(), memory.verdict());
  claim.text +=
      fmt::format(" (time: {}; memory: {})", words_of(time.verdict()), words_of(memory.verdict()));
  const auto is_known = [](const CostGrowth& growth) { return growth.is_known(); };
  const int known = time.count(is_known) + memory.count(is_known);
  const int all = int(time.curves.size() + memory.curves.size());
  claim.would_decide =
      claim.verdict != Verdict::not_decided ? "" : needed(measured.has_value(), known, all);
  return claim;
}

}  // namespace metascale
