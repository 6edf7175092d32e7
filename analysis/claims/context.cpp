// Claim (c): by exponents of the cost of one token in the length of its context. Linear cost of a
// text and constant memory of a generated token are exponents of 0.
#include <fmt/format.h>

#include "analysis/claims/parts.hpp"

namespace metascale {
namespace {

constexpr double flat = 0.1;          // exponents below this grow by 1.26 at most over ten times
constexpr double least_lengths = 16;  // times the shortest length, that a curve must span

struct Quantity {
  const char* name;
  const char* words;
};
constexpr Quantity quantities[] = {{"training_seconds", "training time"},
                                   {"generation_seconds", "generation time"},
                                   {"generation_bytes", "generation memory"}};

double span_of(const std::vector<ContextPoint>& curve) {
  return curve.empty() ? 0 : double(curve.back().tokens) / double(curve.front().tokens);
}

std::string words_of(const ContextExponent& fit) {
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", fit.value, fit.interval.low, fit.interval.high);
}

}  // namespace

Claim judge_context(const Report& report, Claim claim) {
  claim.would_decide =
      "measurements of time and memory over context lengths: context.json of "
      "`metascale bench context --json` in the results folder";
  const auto& costs = report.collection.context;
  const ContextModel* model = costs ? costs->find("meta_state") : nullptr;
  if (model == nullptr) return claim;
  int flat_ones = 0, growing = 0, known = 0;
  for (const Quantity& quantity : quantities) {
    const ContextExponent* fit = model->exponent(quantity.name);
    if (fit == nullptr) continue;
    claim.evidence.push_back({quantity.words, words_of(*fit)});
    if (span_of(model->curve(quantity.name)) < least_lengths || !fit->interval.known()) continue;
    ++known, flat_ones += fit->interval.high < flat ? 1 : 0;
    growing += fit->interval.low > flat ? 1 : 0;
  }
  if (claim.evidence.empty()) return claim;
  claim.measure = fmt::format("Exponent of a token's cost in the context (flat: below {})", flat);
  claim.verdict = growing > 0                               ? Verdict::does_not_hold
                  : flat_ones == int(std::size(quantities)) ? Verdict::holds
                                                            : Verdict::not_decided;
  claim.would_decide =
      claim.verdict != Verdict::not_decided ? ""
      : known < int(std::size(quantities))
          ? fmt::format("all three curves over lengths that span {} times", least_lengths)
          : "longer contexts or more repeats, until the intervals exclude the bound";
  return claim;
}

}  // namespace metascale
