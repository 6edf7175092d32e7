#include <set>

#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

std::string tone_of(RunState state) {
  switch (state) {
    case RunState::done: return "good";
    case RunState::unfinished: return "warn";
    case RunState::failed:
    case RunState::unreadable: return "bad";
  }
  return "";
}

std::string remark_of(const Run& run) {
  std::string text = run.left_out;
  if (text.empty() && run.role != "run") text = run.role == "trial" ? "trial of tuning" : run.role;
  for (const std::string& more : {run.reason, run.damage})
    if (!more.empty()) text += (text.empty() ? "" : "; ") + more;
  return text;
}

// Where in its log the final evaluation stands, from 0; empty: it has none.
std::string final_row(const Run& run) {
  const Evaluation* found = run.final_evaluation();
  return found == nullptr ? "" : std::to_string(found - run.log.evaluations.data());
}

}  // namespace

Table runs_table(const Report& report) {
  Table table{"runs",
              "Every run of the folder",
              {{"run", "Run", false},
               {"state", "State", false},
               {"arm", "Arm", false},
               {"size", "Size", false},
               {"length", "Length", false},
               {"seed", "Seed"},
               {"steps", "Steps"},
               {"tokens", "Tokens"},
               {"training_flops", "FLOPs"},
               {"nats_per_token", "Loss, nats/token"},
               {"bits_per_byte", "Bits/byte"},
               {"tokens_per_second", "Tokens/s"},
               {"hours", "Wall time"},
               {.key = "reason", .title = "Remark:", .numeric = false, .wide = true, .below = true},
               {.key = "log", .title = "Log", .numeric = false, .files_only = true},
               {.key = "evaluation_row",
                .title = "row of /evaluations",
                .numeric = true,
                .files_only = true}},
              {}};
  for (const Run& run : report.collection.runs) {
    const auto planned = run.number("steps_planned");
    table.rows.push_back({{run.id},
                          {name_of(run.state), "", tone_of(run.state)},
                          {run.arm},
                          {run.size},
                          length_cell(run.length),
                          {run.arm.empty() ? "" : std::to_string(run.seed)},
                          {std::to_string(run.steps) + (planned ? " / " + fixed(*planned, 0) : ""),
                           std::to_string(run.steps)},
                          {short_count(double(run.tokens)), std::to_string(run.tokens)},
                          cell_of(run.flops, scientific),
                          rounded(run.final_loss(), 4),
                          rounded(run.final_bits_per_byte(), 4),
                          cell_of(run.tokens_per_second, short_count),
                          cell_of(run.hours, duration_text),
                          {remark_of(run)},
                          {run.folder + "/run.h5"},
                          {final_row(run)}});
  }
  return table;
}

Table not_comparable_table(const Report& report) {
  Table table{"not_comparable",
              "Not comparable, because",
              {{"first", "Run", false},
               {"second", "And", false},
               {"size", "Size", false},
               {"length", "Length", false},
               {"reasons", "Because", false, true}},
              {}};
  const auto add = [&](const std::string& first, const std::string& second, const std::string& size,
                       const std::string& length, const std::string& reasons) {
    table.rows.push_back({{first}, {second}, {size}, length_cell(length), {reasons}});
  };
  for (const NotComparable& entry : report.matching.refused)
    add(entry.first, entry.second, entry.size, entry.length, joined(entry.reasons));
  for (const PairReport& pair : report.pairs)
    if (!pair.problem.empty())
      add(pair.pair->first_arm, pair.pair->second_arm, pair.pair->size, pair.pair->length,
          pair.problem);
  return table;
}

Table environment_table(const Report& report) {
  Table table{"environment",
              "Where the runs were made; several values where runs differ",
              {{"key", "", false}, {"values", "", false}},
              {}};
  std::map<std::string, std::set<std::string>> values;
  for (const Run& run : report.collection.runs)
    for (const auto& [key, value] : run.log.environment) values[key].insert(value);
  for (const auto& [key, found] : values) {
    std::string text;
    for (const std::string& value : found) text += (text.empty() ? "" : "; ") + value;
    table.rows.push_back({{key}, {text}});
  }
  return table;
}

Table curves_table(const Report& report) {
  Table table{"curves",
              "Training curves, thinned with their extremes kept",
              {{"run", "Run", false},
               {"step", "Step"},
               {"tokens", "Tokens"},
               {"flops", "FLOPs"},
               {"hours", "Hours"},
               {"nats_per_token", "Loss, nats/token"}},
              {}};
  for (const Run& run : report.collection.runs)
    for (const CurvePoint& point : run.curve)
      table.rows.push_back({{run.id},
                            {std::to_string(point.step)},
                            {std::to_string(point.tokens)},
                            {exact(point.flops)},
                            {exact(point.hours)},
                            {exact(point.loss)}});
  return table;
}

const std::vector<std::string>& tables_of_some_reports() {
  static const std::vector<std::string> keys{
      "probes",          "probe_distances",   "probe_depths",  "probe_differences", "isoflop",
      "isoflop_budgets", "context_exponents", "context_costs", "lineage_stages",    "law_cells"};
  return keys;
}

std::vector<Table> all_tables(const Report& report) {
  std::vector<Table> tables{
      comparison_table(report),     cells_table(report),       pairs_table(report),
      domains_table(report),        claims_table(report),      claim_values_table(report),
      totals_table(report),         fits_table(report),        residuals_table(report),
      influence_table(report),      joint_fits_table(report),  gains_table(report),
      lineage_table(report),        speed_table(report),       runs_table(report),
      not_comparable_table(report), environment_table(report), evaluations_table(report),
      published_table(report),      curves_table(report)};
  const auto add = [&](std::initializer_list<Table> more) { tables.insert(tables.end(), more); };
  if (const Table probes = probes_table(report); !probes.rows.empty())
    add({probes, probe_distances_table(report), probe_depths_table(report),
         probe_differences_table(report)});
  if (const Table context = context_exponents_table(report); !context.rows.empty())
    add({context, context_costs_table(report)});
  if (const Table isoflop = isoflop_table(report); !isoflop.rows.empty())
    add({isoflop, isoflop_budgets_table(report)});
  if (const Table laws = law_cells_table(report); !laws.rows.empty()) add({laws});
  if (const Table stages = lineage_stages_table(report); !stages.rows.empty()) add({stages});
  tables.push_back(device_hours_table(report));
  return tables;
}

}  // namespace metascale
