// Probes: accuracy by arm, task and length of the test.
#include "analysis/probes.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {
namespace {

constexpr double solved_share = 0.9;  // [Merrill et al. 2024]

struct Spread {
  double mean = 0, least = std::numeric_limits<double>::infinity(), most = 0;
};
Spread spread_of(const std::vector<Accuracy>& runs, double Accuracy::*share) {
  Spread spread;
  for (const Accuracy& run : runs) {
    spread.mean += run.*share / double(runs.size());
    spread.least = std::min(spread.least, run.*share);
    spread.most = std::max(spread.most, run.*share);
  }
  return spread;
}

TableCell share_cell(double share) { return {fixed(100 * share, 1) + " %", exact(share), "", ""}; }

TableCell share_cell(const Share& share) {
  return {fixed(100 * share.value, 1) + " % " +
              (share.interval.known() ? interval_text(share.interval, 1, 100) : "(one seed)"),
          exact(share.value), "", ""};
}

}  // namespace

Table probes_table(const Report& report) {
  Table table{"probes",
              "Probes: right answers, and sequences without a mistake, by length of the test; mean "
              "over seeds, with the least and the most of them",
              {{"task", "Task", false},
               {"size", "Size", false},
               {"arm", "Arm", false},
               {"trained_length", "Trained at, tokens"},
               {"tested_length", "Tested at, tokens"},
               {"accuracy", "Right answers"},
               {"accuracy_least", "Least"},
               {"accuracy_most", "Most"},
               {"sequence_accuracy", "Sequences without a mistake"},
               {"chance", "Chance"},
               {"seeds", "Seeds"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (const Cell& cell : report.probe_cells) {
    std::map<std::int64_t, std::vector<Accuracy>> by_length;
    for (const Run* run : cell.runs)
      for (const auto& [length, accuracy] : accuracies(*run)) by_length[length].push_back(accuracy);
    const Run& one = *cell.runs.front();
    for (const auto& [length, runs] : by_length) {
      const Spread answers = spread_of(runs, &Accuracy::answers);
      const Spread sequences = spread_of(runs, &Accuracy::sequences);
      table.rows.push_back(
          {{one.fact("probe_task").value_or("-")},
           {cell.size},
           {cell.arm},
           {one.fact("context").value_or("-")},
           {std::to_string(length)},
           share_cell(answers.mean),
           share_cell(answers.least),
           share_cell(answers.most),
           share_cell(sequences.mean),
           share_cell(
               one.number("probe_chance").value_or(std::numeric_limits<double>::quiet_NaN())),
           {std::to_string(runs.size())},
           {run_list(cell.runs)}});
    }
  }
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const auto& a, const auto& b) { return a[0].shown < b[0].shown; });
  return table;
}

// The shallowest models that solve a task at the length that they were trained at.
Table probe_depths_table(const Report& report) {
  struct Depths {
    std::set<int> tried, solved;
  };
  std::map<std::tuple<std::string, int, std::string>, Depths> rows;  // of task, length, arm
  for (const Cell& cell : report.probe_cells) {
    const Run& one = *cell.runs.front();
    const auto layers = one.number("layers"), context = one.number("context");
    if (!one.fact("probe") || !layers || !context) continue;
    std::vector<Accuracy> runs;
    for (const Run* run : cell.runs) {
      const auto found = accuracies(*run);
      if (const auto at = found.find(std::int64_t(*context)); at != found.end())
        runs.push_back(at->second);
    }
    if (runs.empty()) continue;
    Depths& depths = rows[{*one.fact("probe"), int(*context), cell.arm}];
    depths.tried.insert(int(*layers));
    if (spread_of(runs, &Accuracy::sequences).mean > solved_share)
      depths.solved.insert(int(*layers));
  }
  Table table{
      "probe_depths",
      "Least number of layers with more than 90 % of the sequences without a mistake, at the "
      "trained length; mean over seeds",
      {{"probe", "Probe", false},
       {"length", "Length, tokens"},
       {"arm", "Arm", false},
       {"layers", "Least layers"},
       {"tried", "Layers tried", false}},
      {}};
  for (const auto& [key, depths] : rows) {
    const auto& [probe, length, arm] = key;
    std::string tried;
    for (const int layers : depths.tried)
      tried += (tried.empty() ? "" : ", ") + std::to_string(layers);
    table.rows.push_back({{probe},
                          {std::to_string(length)},
                          {arm},
                          depths.solved.empty() ? TableCell{"none", "nan", "quiet", ""}
                                                : TableCell{std::to_string(*depths.solved.begin())},
                          {tried}});
  }
  return table;
}

// Every arm against every one before it, on the examples that both were tested on.
Table probe_differences_table(const Report& report) {
  Table table{"probe_differences",
              "Probes: right answers of two arms on the same examples, with intervals over seeds; "
              "the difference is paired by seed",
              {{"task", "Task", false},
               {"size", "Size", false},
               {"arm", "Arm", false},
               {"against", "Against", false},
               {"trained_length", "Trained at, tokens"},
               {"tested_length", "Tested at, tokens"},
               {"accuracy", "Right answers"},
               {"against_accuracy", "Of the other"},
               {"difference", "Difference"},
               {.key = "low", .title = "Low", .files_only = true},
               {.key = "high", .title = "High", .files_only = true},
               {"seeds", "Seeds"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  const std::vector<std::string>& arms = report.collection.arms;
  for (std::size_t other = 0; other < arms.size(); ++other)
    for (std::size_t subject = other + 1; subject < arms.size(); ++subject)
      for (const ProbeDifference& entry : probe_differences(report, arms[subject], arms[other])) {
        const Interval& interval = entry.difference.interval;
        table.rows.push_back({{entry.task},
                              {entry.size},
                              {entry.subject},
                              {entry.other},
                              {std::to_string(entry.trained)},
                              {std::to_string(entry.tested)},
                              share_cell(entry.subject_accuracy),
                              share_cell(entry.other_accuracy),
                              share_cell(entry.difference),
                              {exact(interval.low)},
                              {exact(interval.high)},
                              {std::to_string(entry.seeds)},
                              {run_list(entry.runs)}});
      }
  return table;
}

}  // namespace metascale
