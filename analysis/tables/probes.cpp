// Probes: accuracy by arm, task and length of the test, by distance, and the depths that solve
// them.
#include "analysis/probes.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "analysis/probe_curves.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

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

TableCell share_cell(double share) { return cell_of(share, fixed(100 * share, 1) + " %"); }

TableCell share_cell(const Share& share) {
  return cell_of(share.value, fixed(100 * share.value, 1) + " % " +
                                  (share.interval.known() ? interval_text(share.interval, 1, 100)
                                                          : "(one seed)"));
}

TableCell known_cell(std::int64_t value) {
  return value > 0 ? TableCell{std::to_string(value)} : missing("-");
}

void sort_by_task(Table& table) {
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const auto& a, const auto& b) { return a[0].shown < b[0].shown; });
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
               {"uniform_guess", "Uniform guess"},
               {"seeds", "Seeds"},
               {"layers", "Layers"},
               {"pairs", "Pairs"},
               {"state", "Numbers kept"},
               {.key = "low", .title = "Low", .files_only = true},
               {.key = "high", .title = "High", .files_only = true},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (const Cell& cell : report.probe_cells) {
    std::map<std::int64_t, std::vector<Accuracy>> by_length;
    for (const Run* run : cell.runs)
      for (const auto& [length, accuracy] : accuracies(*run)) by_length[length].push_back(accuracy);
    const ProbeSetting setting = probe_setting(cell);
    for (const auto& [length, runs] : by_length) {
      std::vector<SeedShare> seeds;
      for (const Accuracy& accuracy : runs) seeds.push_back(answers_of(accuracy));
      const Interval interval = report.shares->of(seeds, report.confidence).interval;
      const Spread answers = spread_of(runs, &Accuracy::answers);
      const Spread sequences = spread_of(runs, &Accuracy::sequences);
      table.rows.push_back({{setting.task},
                            {cell.size},
                            {cell.arm},
                            known_cell(setting.trained),
                            {std::to_string(length)},
                            share_cell(answers.mean),
                            share_cell(answers.least),
                            share_cell(answers.most),
                            share_cell(sequences.mean),
                            share_cell(setting.chance),
                            {std::to_string(runs.size())},
                            known_cell(setting.layers),
                            known_cell(setting.pairs),
                            known_cell(setting.state),
                            {exact(interval.low)},
                            {exact(interval.high)},
                            {run_list(cell.runs)}});
    }
  }
  sort_by_task(table);
  return table;
}

// The same by how far back the evidence lies, with intervals over seeds.
Table probe_distances_table(const Report& report) {
  Table table{"probe_distances",
              "Probes: right answers by how many tokens back the oldest token lies that an answer "
              "needs (in word problems: the answer's position); intervals over seeds",
              {{"task", "Task", false},
               {"size", "Size", false},
               {"arm", "Arm", false},
               {"trained_length", "Trained at, tokens"},
               {"tested_length", "Tested at, tokens"},
               {"first", "Distance from"},
               {"last", "To"},
               {"accuracy", "Right answers"},
               {.key = "low", .title = "Low", .files_only = true},
               {.key = "high", .title = "High", .files_only = true},
               {"seeds", "Seeds"},
               {.key = "runs", .title = "Runs", .numeric = false, .files_only = true}},
              {}};
  for (const Cell& cell : report.probe_cells) {
    const ProbeSetting setting = probe_setting(cell);
    for (const ProbeBin& bin : probe_bins(cell)) {
      const Share share = report.shares->of(bin.seeds, report.confidence);
      table.rows.push_back({{setting.task},
                            {cell.size},
                            {cell.arm},
                            {std::to_string(setting.trained)},
                            {std::to_string(bin.tested)},
                            {std::to_string(bin.first)},
                            {std::to_string(bin.last)},
                            share_cell(share),
                            {exact(share.interval.low)},
                            {exact(share.interval.high)},
                            {std::to_string(bin.seeds.size())},
                            {run_list(cell.runs)}});
    }
  }
  sort_by_task(table);
  return table;
}

// The shallowest models that solve a task at the length that they were trained at.
Table probe_depths_table(const Report& report) {
  Table table{
      "probe_depths",
      "Least number of layers with more than 90 % of the sequences without a mistake, at the "
      "trained length; mean over seeds",
      {{"probe", "Probe", false},
       {"width", "Width"},
       {"length", "Length, tokens"},
       {"arm", "Arm", false},
       {"layers", "Least layers"},
       {"tried", "Layers tried", false}},
      {}};
  for (const ProbeDepth& depth : probe_depths(report))
    table.rows.push_back(
        {{depth.probe},
         known_cell(depth.width),
         {std::to_string(depth.trained)},
         {depth.arm},
         depth.least == 0 ? missing("none") : TableCell{std::to_string(depth.least)},
         {depth.tried_words()}});
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
