// IsoFLOP profiles: the line through the optima of each arm, and the budgets behind it.
#include <fmt/format.h>

#include <cmath>

#include "analysis/fitting/health.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

TableCell axis_cell(FitAxis axis) { return {words_of(axis), name_of(axis), "", ""}; }

std::string three_digits(double value) { return fixed(value, 3); }

TableCell interval_cell(const Interval& range, std::string (*words)(double)) {
  const std::string in_full = exact(range.low) + " " + exact(range.high);
  if (!range.known()) return {"-", in_full, "quiet", ""};
  return {fmt::format("[{}, {}]", words(range.low), words(range.high)), in_full, "", ""};
}

// An optimum that its draws bound on no side, or beyond the sizes of its parabola, is told as such.
TableCell optimum_interval(const IsoflopBudget& budget) {
  const auto end = [&](double value) {
    if (value == 0 || std::isinf(value)) return std::string("unbounded");
    const bool beyond = value < budget.smallest || value > budget.largest;
    return short_count(value) + (beyond ? "*" : "");
  };
  TableCell cell = interval_cell(budget.interval, short_count);
  if (budget.interval.known())
    cell.shown = fmt::format("[{}, {}]", end(budget.interval.low), end(budget.interval.high));
  return cell;
}

TableCell verdict_cell(const IsoflopBudget& budget) {
  if (!budget.problem.empty()) return {"refused: " + budget.problem, "", "bad", ""};
  if (budget.refused_draws == 0) return {"used", "", "good", ""};
  return {fmt::format("used; refused in {:.1f} % of the draws", 100 * budget.refused_draws), "",
          budget.refused_draws > most_refused_draws ? "warn" : "good", ""};
}

// Predictions come before coefficients.
TableCell ahead_cell(const IsoflopFit& fit, double confidence) {
  if (!std::isfinite(fit.exponent)) return {"-", "", "quiet", ""};
  const double flops = 2 * fit.budgets.back().flops;
  const Interval range = fit.predict_interval(flops, confidence);
  std::string shown = short_count(fit.predict(flops)), full = exact(fit.predict(flops));
  if (range.known()) {
    shown += fmt::format(" [{}, {}]", short_count(range.low), short_count(range.high));
    full += fmt::format(" [{} {}]", exact(range.low), exact(range.high));
  }
  return {shown + " at " + scientific(flops), full + " at " + exact(flops), "", ""};
}

std::vector<TableCell> line_row(const IsoflopReport& entry, double confidence) {
  if (!entry.fit)
    return {{entry.arm},
            axis_cell(entry.axis),
            {"-"},
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
          ahead_cell(fit, confidence),
          rounded(fit.exponent, 3),
          interval_cell(fit.interval, three_digits),
          cell_of(fit.coefficient,
                  std::isfinite(fit.coefficient) ? fmt::format("{:.4g}", fit.coefficient) : "-"),
          {fmt::format("{} of {}", accepted, fit.budgets.size()), "", "", ""},
          {health_words(fit.problems, !fit.replicates.empty()), "", fit.healthy() ? "good" : "bad"},
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
  std::vector<TableCell> row{{entry.arm},
                             axis_cell(entry.axis),
                             cell_of(profile.flops, scientific),
                             cell_of(profile.spread, fmt::format("{:.2f} %", 100 * profile.spread)),
                             {sizes}};
  if (budget == nullptr)
    row.insert(row.end(),
               {{"-"}, {"-"}, {"-"}, {"-"}, {"no data: " + profile.no_data, "", "quiet", ""}});
  else
    row.insert(row.end(), {cell_of(budget->parameters, short_count), optimum_interval(*budget),
                           rounded(budget->loss, 4),
                           cell_of(budget->curvature, fmt::format("{:.3g}", budget->curvature)),
                           verdict_cell(*budget)});
  row.push_back({runs});
  return row;
}

}  // namespace

Table isoflop_table(const Report& report) {
  Table table{
      "isoflop",
      "IsoFLOP: parameters N* of least loss at a budget of C FLOPs, N* = k C^a, through the "
      "minima of one parabola per budget" +
          scored_clause(report),
      {{"arm", "Arm", false},
       {"axis", "N", false},
       {"prediction", "N* at twice the largest C", false},
       {"exponent", "a"},
       {"interval", "95 % interval"},
       {"coefficient", "k"},
       {"budgets", "Budgets used", false},
       {"health", "Health", false},
       {.key = "problems", .title = "Because:", .numeric = false, .wide = true, .below = true}},
      {}};
  for (const IsoflopReport& entry : report.isoflops)
    table.rows.push_back(line_row(entry, report.confidence));
  return table;
}

Table isoflop_budgets_table(const Report& report) {
  Table table{"isoflop_budgets",
              "IsoFLOP profiles: cells that cost equally many FLOPs, and the minimum of the "
              "parabola through the sizes nearest their lowest loss. An end of an interval with * "
              "lies beyond those sizes, an unbounded one beyond the profile" +
                  scored_clause(report),
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
