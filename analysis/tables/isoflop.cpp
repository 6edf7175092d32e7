// IsoFLOP profiles: the line through the optima of each arm, and the budgets behind it.
#include <fmt/format.h>

#include <cmath>

#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"

namespace metascale {
namespace {

TableCell axis_cell(FitAxis axis) { return {words_of(axis), name_of(axis), "", ""}; }

std::string three_digits(double value) { return fixed(value, 3); }

TableCell interval_cell(const Interval& range, std::string (*words)(double)) {
  const std::string in_full = exact(range.low) + " " + exact(range.high);
  if (!range.known()) return {"-", in_full, "quiet", ""};
  return {fmt::format("[{}, {}]", words(range.low), words(range.high)), in_full, "", ""};
}

std::vector<TableCell> line_row(const IsoflopReport& entry) {
  if (!entry.fit)
    return {{entry.arm},
            axis_cell(entry.axis),
            {"-"},
            {"-"},
            {"-"},
            {"0"},
            {"no data", "", "quiet", ""},
            {entry.no_data, "", "quiet", ""}};
  const IsoflopFit& fit = *entry.fit;
  std::size_t accepted = 0;
  for (const IsoflopBudget& budget : fit.budgets) accepted += budget.problem.empty() ? 1 : 0;
  return {{entry.arm},
          axis_cell(entry.axis),
          {three_digits(fit.exponent), exact(fit.exponent), "", ""},
          interval_cell(fit.interval, three_digits),
          {std::isfinite(fit.coefficient) ? fmt::format("{:.4g}", fit.coefficient) : "-",
           exact(fit.coefficient), "", ""},
          {fmt::format("{} of {}", accepted, fit.budgets.size()), "", "", ""},
          {fit.healthy() ? "good" : "bad", "", fit.healthy() ? "good" : "bad", ""},
          {joined(fit.problems), "", "bad", ""}};
}

// budget: the profile's parabola; nullptr: it has no data.
std::vector<TableCell> budget_row(const IsoflopReport& entry, const IsoflopProfile& profile,
                                  const IsoflopBudget* budget) {
  std::string sizes, runs;
  for (const Cell* cell : profile.cells) {
    sizes += (sizes.empty() ? "" : ", ") + cell->size;
    runs += (runs.empty() ? "" : " ") + run_list(cell->runs);
  }
  std::vector<TableCell> row{
      {entry.arm},
      axis_cell(entry.axis),
      {scientific(profile.flops), exact(profile.flops), "", ""},
      {fmt::format("{:.2f} %", 100 * profile.spread), exact(profile.spread), "", ""},
      {sizes}};
  if (budget == nullptr)
    row.insert(row.end(),
               {{"-"}, {"-"}, {"-"}, {"-"}, {"no data: " + profile.no_data, "", "quiet", ""}});
  else
    row.insert(row.end(),
               {{short_count(budget->parameters), exact(budget->parameters), "", ""},
                interval_cell(budget->interval, short_count),
                {fixed(budget->loss, 4), exact(budget->loss), "", ""},
                {fmt::format("{:.3g}", budget->curvature), exact(budget->curvature), "", ""},
                budget->problem.empty() ? TableCell{"used", "", "good", ""}
                                        : TableCell{"refused: " + budget->problem, "", "bad", ""}});
  row.push_back({runs});
  return row;
}

}  // namespace

Table isoflop_table(const Report& report) {
  Table table{
      "isoflop",
      "IsoFLOP: parameters N* of least loss at a budget of C FLOPs, N* = k C^a, through the "
      "minima of one parabola per budget",
      {{"arm", "Arm", false},
       {"axis", "N", false},
       {"exponent", "a"},
       {"interval", "95 % interval"},
       {"coefficient", "k"},
       {"budgets", "Budgets used", false},
       {"health", "Health", false},
       {.key = "problems", .title = "Because:", .numeric = false, .wide = true, .below = true}},
      {}};
  for (const IsoflopReport& entry : report.isoflops) table.rows.push_back(line_row(entry));
  return table;
}

Table isoflop_budgets_table(const Report& report) {
  Table table{"isoflop_budgets",
              "IsoFLOP profiles: cells that cost equally many FLOPs, and the minimum of the "
              "parabola through the sizes nearest their lowest loss",
              {{"arm", "Arm", false},
               {"axis", "N", false},
               {"flops", "FLOPs"},
               {"spread", "FLOPs differ by"},
               {"sizes", "Sizes", false},
               {"optimum", "N*"},
               {"interval", "95 % interval"},
               {"loss", "Loss there, nats/token"},
               {"curvature", "Curvature"},
               {"verdict", "Verdict", false, true},
               {.key = "runs",
                .title = "From the final evaluations of",
                .numeric = false,
                .files_only = true}},
              {}};
  for (const IsoflopReport& entry : report.isoflops) {
    std::size_t number = 0;
    for (const IsoflopProfile& profile : entry.profiles)
      table.rows.push_back(budget_row(
          entry, profile,
          entry.fit && profile.no_data.empty() ? &entry.fit->budgets.at(number++) : nullptr));
  }
  return table;
}

}  // namespace metascale
