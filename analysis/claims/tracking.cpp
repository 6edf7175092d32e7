// Claim (d): state tracking, by word problems over groups that are not solvable, which attention
// of fixed depth cannot do at every length (they are complete for NC1) [Merrill et al. 2024]. It
// is judged only where positive controls show that models of this size were trained enough.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "analysis/claims/parts.hpp"
#include "analysis/claims/probe_parts.hpp"

namespace metascale {
namespace {

constexpr double tracks = 0.9;  // of the answers [Merrill et al. 2024]

constexpr const char* deciding_tasks[] = {"a5", "s5", "s5_swaps"};

bool decides(const std::string& task) {
  return std::find(std::begin(deciding_tasks), std::end(deciding_tasks), task) !=
         std::end(deciding_tasks);
}

// How a task ended: ahead and tracking somewhere, behind an arm that tracks somewhere. Where
// neither tracks, a difference is one of guesses.
struct Outcome {
  bool ahead = false, behind = false;

  void add(const ProbeDifference& entry) {
    const Interval& interval = entry.difference.interval;
    ahead = ahead || (interval.low > 0 && entry.subject_accuracy.value > tracks);
    behind = behind || (interval.high < 0 && entry.other_accuracy.value > tracks);
  }
};

Verdict verdict_of(const std::map<std::string, Outcome>& tasks) {
  const auto behind = [](const auto& task) { return task.second.behind; };
  const auto ahead = [](const auto& task) { return task.second.ahead; };
  if (std::any_of(tasks.begin(), tasks.end(), behind)) return Verdict::does_not_hold;
  const bool all = !tasks.empty() && std::all_of(tasks.begin(), tasks.end(), ahead);
  return all ? Verdict::holds : Verdict::not_decided;
}

// The outcome of every deciding task, by its cells whose controls are passed.
struct Outcomes {
  std::map<std::string, Outcome> tasks;
  std::size_t judged = 0;  // cells at tested lengths
  std::string missing;     // controls of the first cell that lacks some; empty: none does
};

Outcomes outcomes_of(const Report& report, const std::vector<ProbeDifference>& found) {
  Outcomes outcomes;
  for (const ProbeDifference& entry : found) {
    if (!decides(entry.task)) continue;
    Outcome& outcome = outcomes.tasks[entry.task];
    const std::string missing = unpassed(report, tracking_controls(), cell_of(report, entry));
    if (outcomes.missing.empty()) outcomes.missing = missing;
    if (!missing.empty()) continue;
    outcome.add(entry);
    ++outcomes.judged;
  }
  if (outcomes.tasks.empty()) outcomes.missing = unpassed(report, tracking_controls(), nullptr);
  return outcomes;
}

}  // namespace

Claim judge_tracking(const Report& report, Claim claim, const std::string& subject,
                     const std::string& other) {
  claim.would_decide = "state-tracking probes of a meta_state arm and a Transformer";
  const std::vector<ProbeDifference> found = probe_differences(report, subject, other);
  for (const ProbeDifference& entry : found)
    add_evidence(entry, fmt::format("{}, {} tokens", entry.size, entry.tested), claim);
  if (found.empty()) return claim;
  claim.measure = fmt::format("Right answers of {} against {}, and the difference", subject, other);
  const Outcomes outcomes = outcomes_of(report, found);
  if (!outcomes.missing.empty() && outcomes.judged == 0) {
    claim.would_decide = training_until_passed(outcomes.missing);
    return claim;
  }
  claim.verdict = verdict_of(outcomes.tasks);
  claim.would_decide = claim.verdict != Verdict::not_decided ? ""
                       : !outcomes.missing.empty() ? training_until_passed(outcomes.missing)
                       : outcomes.tasks.empty()
                           ? "word problems over a5, s5 or s5_swaps: groups that are not solvable"
                           : fmt::format(
                                 "more seeds, or training until {} has over {:.0f} % of "
                                 "the answers where {} has not",
                                 subject, 100 * tracks, other);
  return claim;
}

}  // namespace metascale
