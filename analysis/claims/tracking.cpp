// Claim (d): state tracking, by word problems over groups that are not solvable, which attention
// of fixed depth cannot do at every length (they are complete for NC1) [Merrill et al. 2024]. It
// is judged only where positive controls show that models of this size were trained enough.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "analysis/claims/parts.hpp"
#include "analysis/probes.hpp"
#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

constexpr double trained_enough = 0.99;  // of the answers at the trained length, mean over seeds
constexpr double tracks = 0.9;           // of the answers [Merrill et al. 2024]

constexpr const char* deciding_tasks[] = {"a5", "s5", "s5_swaps"};

bool decides(const std::string& task) {
  return std::find(std::begin(deciding_tasks), std::end(deciding_tasks), task) !=
         std::end(deciding_tasks);
}

// Transitions with eigenvalues to -1 are not the published RWKV-7.
bool is_published(const Run& run) {
  try {
    const YamlNode root = parse_yaml(run.log.configuration, run.id);
    const YamlNode* model = root.find("model");
    const YamlNode* doubled = model == nullptr ? nullptr : model->find("doubled_rate");
    return doubled == nullptr || !read_bool(*doubled);
  } catch (const Error&) {
    return true;  // the configuration is only shown: a report does not fail by it
  }
}

bool tracks_swaps(const Cell& cell) {
  const Run& run = *cell.runs.front();
  const std::string task = run.fact("probe_task").value_or("");
  return run.architecture == "rwkv7" && is_published(run) && (task == "s3" || task == "s5_swaps");
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

// The best cell of a control; empty text: it is passed.
std::string unpassed(const Report& report, const Control& control) {
  double best = std::nan("");
  for (const Cell& cell : report.probe_cells)
    if (control.is_of(cell)) best = std::fmax(best, trained_accuracy(cell));
  if (best > trained_enough) return "";
  return std::isnan(best) ? fmt::format("{} has not run", control.words)
                          : fmt::format("{} reaches {:.1f} %", control.words, 100 * best);
}

std::string words_of(const Share& share) {
  return fmt::format("{:.1f} %", 100 * share.value) +
         (share.interval.known() ? fmt::format(" [{:.1f}, {:.1f}]", 100 * share.interval.low,
                                               100 * share.interval.high)
                                 : "");
}

// How a task ended: ahead and tracking somewhere, behind somewhere.
struct Outcome {
  bool ahead = false, behind = false;
};

Verdict verdict_of(const std::map<std::string, Outcome>& tasks) {
  const auto behind = [](const auto& task) { return task.second.behind; };
  const auto ahead = [](const auto& task) { return task.second.ahead; };
  if (std::any_of(tasks.begin(), tasks.end(), behind)) return Verdict::does_not_hold;
  const bool all = !tasks.empty() && std::all_of(tasks.begin(), tasks.end(), ahead);
  return all ? Verdict::holds : Verdict::not_decided;
}

}  // namespace

Claim judge_tracking(const Report& report, Claim claim, const std::string& subject,
                     const std::string& other) {
  claim.would_decide = "state-tracking probes of a meta_state arm and a Transformer";
  const std::vector<ProbeDifference> found = probe_differences(report, subject, other);
  std::map<std::string, Outcome> tasks;
  for (const ProbeDifference& entry : found) {
    claim.evidence.push_back(
        {fmt::format("{}, {} tokens", entry.size, entry.tested),
         fmt::format("{} against {}, {}{}", words_of(entry.subject_accuracy),
                     words_of(entry.other_accuracy), entry.difference.value < 0 ? "" : "+",
                     words_of(entry.difference))});
    if (!decides(entry.task)) continue;
    Outcome& outcome = tasks[entry.task];
    const Interval& interval = entry.difference.interval;
    outcome.ahead = outcome.ahead || (interval.low > 0 && entry.subject_accuracy.value > tracks);
    outcome.behind = outcome.behind || interval.high < 0;
  }
  if (found.empty()) return claim;
  claim.measure = fmt::format("Right answers of {} against {}, and the difference", subject, other);
  std::string missing;
  for (const Control& control : controls)
    if (const std::string what = unpassed(report, control); !what.empty())
      missing += (missing.empty() ? "" : "; ") + what;
  if (!missing.empty()) {
    claim.would_decide =
        fmt::format("training until the positive controls pass {:.0f} % (not trained enough: {})",
                    100 * trained_enough, missing);
    return claim;
  }
  claim.verdict = verdict_of(tasks);
  claim.would_decide = claim.verdict != Verdict::not_decided ? ""
                       : tasks.empty()
                           ? "word problems over a5, s5 or s5_swaps: groups that are not solvable"
                           : fmt::format(
                                 "more seeds, or training until {} has over {:.0f} % of "
                                 "the answers where {} has not",
                                 subject, 100 * tracks, other);
  return claim;
}

}  // namespace metascale
