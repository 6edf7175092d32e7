// Probes: accuracy by arm, task and length of the test.
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

// One run at one tested length.
struct Accuracy {
  double answers = 0;    // share of the answers that are right
  double sequences = 0;  // share of the examples without a mistake
};

std::map<std::int64_t, Accuracy> accuracies(const Evaluation& evaluation) {
  std::map<std::int64_t, ProbeRow> sums;
  for (const ProbeRow& row : evaluation.probes) {
    ProbeRow& sum = sums[row.length];
    sum.scored += row.scored, sum.correct += row.correct;
    sum.examples = row.examples, sum.solved = row.solved;  // of the last bin: of all answers
  }
  std::map<std::int64_t, Accuracy> found;
  for (const auto& [length, sum] : sums)
    if (sum.scored > 0 && sum.examples > 0)
      found[length] = {double(sum.correct) / double(sum.scored),
                       double(sum.solved) / double(sum.examples)};
  return found;
}

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
  for (const Cell& cell : report.cells) {
    std::map<std::int64_t, std::vector<Accuracy>> by_length;
    for (const Run* run : cell.runs)
      for (const auto& [length, accuracy] : accuracies(*run->final_evaluation()))
        by_length[length].push_back(accuracy);
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
  for (const Cell& cell : report.cells) {
    const Run& one = *cell.runs.front();
    const auto layers = one.number("layers"), context = one.number("context");
    if (!one.fact("probe") || !layers || !context) continue;
    std::vector<Accuracy> runs;
    for (const Run* run : cell.runs) {
      const auto found = accuracies(*run->final_evaluation());
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

}  // namespace metascale
