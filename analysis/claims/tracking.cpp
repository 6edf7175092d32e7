// Claim (d): state tracking, by word problems over groups that are not solvable, which attention
// of fixed depth cannot do at every length (they are complete for NC1) [Merrill et al. 2024]. It
// is judged only where positive controls show that models of this size were trained enough.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/claims/parts.hpp"
#include "analysis/probes.hpp"

namespace metascale {
namespace {

constexpr double trained_enough = 0.99;  // of the answers at the trained length, mean over seeds
constexpr double tracks = 0.9;           // of the answers [Merrill et al. 2024]
constexpr double alike_tokens = 1.05;    // whole batches round the tokens of a budget

constexpr const char* deciding_tasks[] = {"a5", "s5", "s5_swaps"};

bool decides(const std::string& task) {
  return std::find(std::begin(deciding_tasks), std::end(deciding_tasks), task) !=
         std::end(deciding_tasks);
}

bool tracks_swaps(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const std::string task = run.fact("probe_task").value_or("");
  return run.architecture == "rwkv7" && (task == "s3" || task == "s5_swaps");
}

// MQAR at 64 tokens with 4 pairs.
bool recalls_four(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const std::string probe = run.fact("probe").value_or("") + " ";
  return run.architecture.starts_with("transformer") && run.fact("probe_task") == "mqar" &&
         trained_length(cell) == 64 && probe.find(" pairs=4 ") != std::string::npos;
}

struct Control {
  const char* words;
  bool (*is_of)(const Cell&);
};
constexpr Control controls[] = {{"RWKV-7 on S3 or S5 by swaps", tracks_swaps},
                                {"a Transformer on MQAR (64, 4)", recalls_four}};

// A control tells whether models of its own size learn with its own training: of layers and width
// as the cell has them, where both logged these, and of no more tokens.
bool is_control_for(const Cell& control, const Cell& cell) {
  const Run &one = *control.runs.front(), &other = *cell.runs.front();
  for (const char* key : {"layers", "width"}) {
    const auto a = one.number(key), b = other.number(key);
    if (a && b && *a != *b) return false;
  }
  return control.tokens <= alike_tokens * cell.tokens;
}

// The best cell of a control, of those for `cell` (nullptr: of all); empty text: it is passed.
std::string unpassed(const Report& report, const Control& control, const Cell* cell) {
  double best = std::nan(""), elsewhere = std::nan("");
  for (const Cell& candidate : report.probe_cells) {
    if (!control.is_of(candidate) || !report.collection.is_published(candidate.arm)) continue;
    const bool counts = cell == nullptr || is_control_for(candidate, *cell);
    double& kept = counts ? best : elsewhere;
    kept = std::fmax(kept, trained_accuracy(candidate));
  }
  if (best > trained_enough) return "";
  if (!std::isnan(best)) return fmt::format("{} reaches {:.1f} %", control.words, 100 * best);
  return fmt::format("{} has not run{}", control.words,
                     std::isnan(elsewhere)
                         ? ""
                         : fmt::format(" at the size and with the tokens of {}", cell->size));
}

std::string unpassed(const Report& report, const Cell* cell) {
  std::string missing;
  for (const Control& control : controls)
    if (const std::string what = unpassed(report, control, cell); !what.empty())
      missing += (missing.empty() ? "" : "; ") + what;
  return missing;
}

const Cell* cell_of(const Report& report, const ProbeDifference& entry) {
  for (const Cell& cell : report.probe_cells)
    if (cell.arm == entry.subject && cell.size == entry.size && cell.length == entry.length)
      return &cell;
  return nullptr;
}

std::string words_of(const Share& share) {
  return fmt::format("{:.1f} %", 100 * share.value) +
         (share.interval.known() ? fmt::format(" [{:.1f}, {:.1f}]", 100 * share.interval.low,
                                               100 * share.interval.high)
                                 : "");
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
    const std::string missing = unpassed(report, cell_of(report, entry));
    if (outcomes.missing.empty()) outcomes.missing = missing;
    if (!missing.empty()) continue;
    outcome.add(entry);
    ++outcomes.judged;
  }
  if (outcomes.tasks.empty()) outcomes.missing = unpassed(report, nullptr);
  return outcomes;
}

std::string training_until_passed(const std::string& missing) {
  return fmt::format("training until the positive controls pass {:.0f} % (not trained enough: {})",
                     100 * trained_enough, missing);
}

void add_values(const ProbeDifference& entry, Claim& claim) {
  const auto add = [&](const char* what, const std::string& arm, const std::string& against,
                       const Share& share) {
    claim.values.push_back({arm, against, entry.size, entry.length,
                            fmt::format("{}_on_{}_at_{}_tokens", what, entry.task, entry.tested),
                            share.value, share.interval, run_list(entry.runs)});
  };
  add("accuracy", entry.subject, "", entry.subject_accuracy);
  add("accuracy", entry.other, "", entry.other_accuracy);
  add("accuracy_gain", entry.subject, entry.other, entry.difference);
}

}  // namespace

Claim judge_tracking(const Report& report, Claim claim, const std::string& subject,
                     const std::string& other) {
  claim.would_decide = "state-tracking probes of a meta_state arm and a Transformer";
  const std::vector<ProbeDifference> found = probe_differences(report, subject, other);
  for (const ProbeDifference& entry : found) {
    claim.evidence.push_back(
        {fmt::format("{}, {} tokens", entry.size, entry.tested),
         fmt::format("{} against {}, {}{}", words_of(entry.subject_accuracy),
                     words_of(entry.other_accuracy), entry.difference.value < 0 ? "" : "+",
                     words_of(entry.difference))});
    add_values(entry, claim);
  }
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
