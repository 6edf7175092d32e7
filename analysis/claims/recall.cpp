// Question (m), ours, not the paper's: whether a state of fixed size recalls as many key-value
// pairs as attention, which keeps them all. By the load of MQAR [Arora et al. 2023], at the length
// trained at, and only where the same control as in (d) shows that recall was learnt at all.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "analysis/claims/parts.hpp"
#include "analysis/claims/probe_parts.hpp"

namespace metascale {
namespace {

constexpr double recalls = 0.9;       // of the answers; below it a difference is one of guesses
constexpr double margin = 0.01;       // of the answers: as many; MQAR is solved above 99 %
constexpr std::size_t few_loads = 2;  // of pairs: one tells nothing of how recall falls with them

// How the cells of a load ended.
struct LoadOutcome {
  bool kept = true;     // all of them: no further behind than the margin
  bool behind = false;  // one of them: further behind by all of its interval

  void add(const ProbeDifference& entry) {
    const Interval& interval = entry.difference.interval;
    const bool some = std::max(entry.subject_accuracy.value, entry.other_accuracy.value) > recalls;
    kept = kept && some && interval.low > -margin;
    behind = behind || (interval.high < -margin && entry.other_accuracy.value > recalls);
  }
};

struct Loads {
  std::map<std::int64_t, LoadOutcome> judged;  // by pairs
  std::string missing;                         // controls of the first cell that lacks some
};

std::vector<ProbeDifference> recall_of(const Report& report, const std::string& subject,
                                       const std::string& other) {
  std::vector<ProbeDifference> found = probe_differences(report, subject, other);
  std::erase_if(found, [](const ProbeDifference& entry) {
    return entry.task != "mqar" || entry.tested != entry.trained;
  });
  return found;
}

std::int64_t pairs_of(const Report& report, const ProbeDifference& entry) {
  const Cell* cell = cell_of(report, entry);
  return cell == nullptr ? 0 : probe_setting(*cell).pairs;
}

Loads loads_of(const Report& report, const std::vector<ProbeDifference>& found) {
  Loads loads;
  for (const ProbeDifference& entry : found) {
    const std::string missing = unpassed(report, recall_controls(), cell_of(report, entry));
    if (loads.missing.empty()) loads.missing = missing;
    if (missing.empty()) loads.judged[pairs_of(report, entry)].add(entry);
  }
  return loads;
}

Verdict verdict_of(const Loads& loads) {
  const auto behind = [](const auto& load) { return load.second.behind; };
  const auto kept = [](const auto& load) { return load.second.kept; };
  if (std::any_of(loads.judged.begin(), loads.judged.end(), behind)) return Verdict::does_not_hold;
  const bool all = std::all_of(loads.judged.begin(), loads.judged.end(), kept);
  return all && loads.judged.size() >= few_loads ? Verdict::holds : Verdict::not_decided;
}

std::string needed(const Loads& loads) {
  if (!loads.missing.empty()) return training_until_passed(loads.missing);
  if (loads.judged.size() < few_loads) return "MQAR with two numbers of pairs or more";
  return fmt::format(
      "more seeds, or training until one of the two has over {:.0f} % of the answers at each load",
      100 * recalls);
}

void show(const Report& report, const std::vector<ProbeDifference>& found, Claim& claim) {
  for (const ProbeDifference& entry : found)
    add_evidence(entry,
                 fmt::format("{}, {} pairs in {} tokens: {}", entry.size, pairs_of(report, entry),
                             entry.tested, entry.subject),
                 claim);
}

}  // namespace

Claim judge_recall(const Report& report, Claim claim, const RecallArms& arms) {
  claim.would_decide = "MQAR probes of a meta_state arm and a Transformer";
  const std::vector<ProbeDifference> found = recall_of(report, arms.subject, arms.transformer);
  if (found.empty()) return claim;
  show(report, found, claim);
  if (!arms.plain.empty()) show(report, recall_of(report, arms.plain, arms.transformer), claim);
  claim.measure = fmt::format("Right answers against {}, and the difference", arms.transformer);
  const Loads loads = loads_of(report, found);
  if (loads.judged.empty()) {
    claim.would_decide = training_until_passed(loads.missing);
    return claim;
  }
  claim.verdict = verdict_of(loads);
  claim.would_decide = claim.verdict == Verdict::not_decided ? needed(loads) : "";
  if (claim.verdict == Verdict::holds)
    claim.text += fmt::format(", up to {} pairs", loads.judged.rbegin()->first);
  return claim;
}

}  // namespace metascale
