// What stands behind the fitted laws: each point's influence, and two arms under one law.
#include <fmt/format.h>

#include <cmath>

#include "analysis/fitting/health.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

TableCell with_interval(double value, const Interval& interval) {
  std::string shown = fmt::format("{:.4g}", value), full = exact(value);
  if (interval.known()) {
    shown += fmt::format(" [{:.3g}, {:.3g}]", interval.low, interval.high);
    full += " [" + exact(interval.low) + " " + exact(interval.high) + "]";
  }
  return {shown, full, "", ""};
}

// Of the arm, then of the one compared with.
TableCell ahead_cell(const JointFit& fit) {
  const TableCell other = with_interval(fit.ahead[0].value, fit.ahead[0].interval),
                  own = with_interval(fit.ahead[1].value, fit.ahead[1].interval);
  return {own.shown + " against " + other.shown, own.exact + " against " + other.exact, "", ""};
}

void add_influence(Table& table, const ArmFit& entry) {
  const Fit& fit = entry.fit;
  for (const Influence& influence : fit.influence) {
    std::string shown, full;
    bool moves = false;
    for (std::size_t i = 0; i < influence.change.size(); ++i) {
      const double without = fit.coefficients[i] + influence.change[i];
      moves = moves || (!law(fit.kind).is_logarithm(i) && !fit.intervals.empty() &&
                        fit.intervals[i].excludes(without));
      const std::string& name = law(fit.kind).names[i];
      shown += fmt::format("{}{} {:.4g}", i > 0 ? ", " : "", name, without);
      full += fmt::format("{}{} {}", i > 0 ? ", " : "", name, exact(without));
    }
    table.rows.push_back(
        {{entry.arm},
         length_cell(entry),
         {words_of(entry.axis), name_of(entry.axis), "", ""},
         {name_of(fit.kind)},
         run_cell(influence.label),
         {shown, full, "", ""},
         {moves ? "moves an exponent out of its interval" : "-", "", moves ? "bad" : "quiet", ""}});
  }
}

}  // namespace

Table influence_table(const Report& report) {
  Table table{"influence",
              "What each law becomes without one of its points; nothing is dropped silently",
              {{"arm", "Arm", false},
               {"length", "Length", false},
               {"axis", "x", false},
               {"law", "Law", false},
               {"without", "Without", false},
               {"coefficients", "Coefficients then", false, true},
               {"verdict", "Verdict", false}},
              {}};
  for (const ArmFit& entry : report.fits) add_influence(table, entry);
  return table;
}

Table joint_fits_table(const Report& report) {
  Table table{
      "joint_fits",
      "Two arms under one law E + A N^-alpha + B D^-beta with E, alpha and beta shared. Ratios "
      "below 1: the arm is better. A small p says that the arms do not share the law" +
          scored_clause(report),
      {{"arm", "Arm", false},
       {"against", "Against", false},
       {"prediction", "Loss at twice the largest N and D", false},
       {"ratio_a", "A over its A"},
       {"ratio_b", "B over its B"},
       {"shared", "E, alpha, beta", false, true},
       {"points", "Points"},
       {"worst_residual", "Worst residual"},
       {"objective", "Objective"},
       {"separate_objective", "Alone"},
       {"p_value", "p"},
       {"health", "Health", false},
       {.key = "problems", .title = "Problems", .numeric = false, .wide = true, .below = true}},
      {}};
  for (const JointReport& entry : report.joint_fits) {
    const JointFit& fit = entry.fit;
    std::string shown, full;
    for (std::size_t i = 4; i < JointFit::names.size(); ++i) {
      const Interval none, &interval = fit.intervals.empty() ? none : fit.intervals[i];
      const TableCell cell = with_interval(fit.coefficients[i], interval);
      shown += fmt::format("{}{} {}", i > 4 ? ", " : "", JointFit::names[i], cell.shown);
      full += fmt::format("{}{} {}", i > 4 ? ", " : "", JointFit::names[i], cell.exact);
    }
    table.rows.push_back(
        {{entry.second_arm},
         {entry.first_arm},
         ahead_cell(fit),
         with_interval(fit.ratio_a, fit.interval_a),
         with_interval(fit.ratio_b, fit.interval_b),
         {shown, full, "", ""},
         {std::to_string(fit.points)},
         cell_of(fit.worst_residual, percent(fit.worst_residual)),
         cell_of(fit.objective, fmt::format("{:.3g}", fit.objective)),
         cell_of(fit.separate_objective, fmt::format("{:.3g}", fit.separate_objective)),
         rounded(fit.p_value, 3),
         {health_words(fit.problems, !fit.intervals.empty()), "", fit.healthy() ? "good" : "bad"},
         {joined(fit.problems), "", "bad", ""}});
  }
  return table;
}

}  // namespace metascale
