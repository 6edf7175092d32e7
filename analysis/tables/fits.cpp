#include <fmt/format.h>

#include <cmath>
#include <map>

#include "analysis/fitting/health.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables/cells.hpp"

namespace metascale {
namespace {

const char* short_words(FitAxis axis) {
  switch (axis) {
    case FitAxis::non_embedding_parameters: return "non-embedding N";
    case FitAxis::parameters: return "N";
    case FitAxis::training_flops: return "FLOPs";
    case FitAxis::tokens: return "D";
  }
  return "?";
}

std::string coefficients_of(const Fit& fit, bool in_full) {
  std::string text;
  for (std::size_t i = 0; i < fit.coefficients.size(); ++i) {
    text += fmt::format(
        "{}{} = {}", i > 0 ? ", " : "", law(fit.kind).names[i],
        in_full ? exact(fit.coefficients[i]) : fmt::format("{:.4g}", fit.coefficients[i]));
    if (!fit.intervals.empty() && fit.intervals[i].known())
      text +=
          in_full
              ? fmt::format(" [{} {}]", exact(fit.intervals[i].low), exact(fit.intervals[i].high))
              : fmt::format(" [{:.3g}, {:.3g}]", fit.intervals[i].low, fit.intervals[i].high);
  }
  return text;
}

TableCell prediction_of(const Fit& fit, double confidence) {
  const Prediction ahead = predict_ahead(fit, confidence);
  std::string shown = fixed(ahead.value, 4), full = exact(ahead.value);
  if (ahead.interval.known()) {
    shown += fmt::format(" [{:.4g}, {:.4g}]", ahead.interval.low, ahead.interval.high);
    full += fmt::format(" [{} {}]", exact(ahead.interval.low), exact(ahead.interval.high));
  }
  for (std::size_t i = 0; i < ahead.x.size(); ++i) {
    const char* name = ahead.x.size() == 1 ? " at " : i == 0 ? " at N " : ", D ";
    shown += name + scientific(ahead.x[i]), full += name + exact(ahead.x[i]);
  }
  return {shown, full, "", ""};
}

// Mean over the runs that the fit had to predict.
TableCell held_out_of(const ArmFit& entry) {
  if (!entry.held_out) return {"-"};
  double mean = 0;
  for (const HeldOut& point : entry.held_out->held_out)
    mean += point.error() / double(entry.held_out->held_out.size());
  return cell_of(mean, percent(mean) + ", " + entry.held_out_what);
}

// Few cells or few draws make the interval unreliable; all else makes the fit bad.
TableCell health_of(const Fit& fit) {
  if (fit.healthy()) return {health_words(fit.problems, !fit.replicates.empty()), "", "good"};
  if (grave_problems(fit).empty()) return {interval_unreliable, "", "warn"};
  return {"bad", "", "bad"};
}

using RunsById = std::map<std::string, const Run*>;

void add_points(Table& table, const ArmFit& entry, const RunsById& runs) {
  const auto row = [&](const char* law, const std::string& run, double x, double measured,
                       double fitted, const char* role) {
    table.rows.push_back({{entry.arm},
                          length_cell(entry),
                          {short_words(entry.axis), name_of(entry.axis)},
                          {law},
                          run_cell(run),
                          {role},
                          cell_of(x, scientific),
                          rounded(measured, 4),
                          rounded(fitted, 4),
                          cell_of(fitted / measured - 1, percent(fitted / measured - 1))});
    const auto found = runs.find(run);
    const std::vector<const Run*> evaluated(found != runs.end() ? 1 : 0,
                                            found != runs.end() ? found->second : nullptr);
    for (TableCell& cell : evaluated_cells(evaluated)) table.rows.back().push_back(std::move(cell));
  };
  for (const FitPoint& point : entry.fit.points)
    row(name_of(entry.fit.kind), point.label, point.x[0], point.loss, entry.fit.predict(point.x),
        "fitted");
  if (entry.held_out)
    for (const HeldOut& point : entry.held_out->held_out)
      row(name_of(entry.held_out->kind), point.label, point.x[0], point.measured, point.predicted,
          "held out");
}

}  // namespace

Table fits_table(const Report& report) {
  Table table{
      "fits",
      "Scaling laws, fitted to final losses. A fit with a problem is printed, and not to be "
      "quoted" +
          scored_clause(report),
      {{"arm", "Arm", false},
       {"length", "Length", false},
       {"axis", "x", false},
       {"law", "Law", false},
       {"prediction", "Loss at twice the largest x", false},
       {"coefficients", "Coefficients with 95 % intervals", false, true},
       {"points", "Points"},
       {"worst_residual", "Worst residual"},
       {"held_out_error", "Held-out error"},
       {"agreement", "Best starts that agree"},
       {"health", "Health", false},
       {.key = "problems", .title = "Problems", .numeric = false, .wide = true, .below = true}},
      {}};
  for (const ArmFit& entry : report.fits) {
    const Fit& fit = entry.fit;
    table.rows.push_back(
        {{entry.arm},
         length_cell(entry),
         {short_words(entry.axis), name_of(entry.axis)},
         {formula_of(fit.kind), name_of(fit.kind)},
         prediction_of(fit, report.confidence),
         {coefficients_of(fit, false), coefficients_of(fit, true)},
         {std::to_string(fit.points.size())},
         cell_of(fit.worst_residual, fmt::format("{:.2f} %", 100 * fit.worst_residual)),
         held_out_of(entry),
         cell_of(fit.agreement, fixed(100 * fit.agreement, 0) + " %"),
         health_of(fit),
         {joined(fit.problems), "", health_of(fit).tone}});
  }
  return table;
}

Table residuals_table(const Report& report) {
  Table table{"residuals",
              "Measured and fitted losses of every run, and predictions of the largest size or the "
              "longest length by fits that did not see it" +
                  scored_clause(report),
              {{"arm", "Arm", false},
               {"length", "Length", false},
               {"axis", "x is", false},
               {"law", "Law", false},
               {"run", "Run", false},
               {"role", "Role", false},
               {"x", "x"},
               {"measured", "Measured, nats/token"},
               {"fitted", "Fitted, nats/token"},
               {"residual", "Residual"}},
              {}};
  for (TableColumn& column : evaluated_columns()) table.columns.push_back(std::move(column));
  RunsById runs;
  for (const Run& run : report.collection.runs) runs[run.id] = &run;
  for (const ArmFit& entry : report.fits) add_points(table, entry, runs);
  return table;
}

namespace {

// An end that is infinite, or where the baseline's law is not fitted, is told as such.
std::string gain_end(double value, bool beyond) {
  return std::isinf(value) ? "unbounded" : factor(value) + (beyond ? "*" : "");
}

TableCell gain_interval(const EquivalentGain& gain) {
  const Interval& range = gain.interval;
  const std::string full = exact(range.low) + " " + exact(range.high);
  if (!range.known() || !std::isfinite(gain.gain) || gain.beyond) return {"-", full, "", ""};
  return {fmt::format("[{}, {}]", gain_end(range.low, gain.low_beyond),
                      gain_end(range.high, gain.high_beyond)),
          full, "", ""};
}

std::vector<TableCell> gain_row(const GainReport& entry) {
  const EquivalentGain& gain = entry.gain;
  const bool above = gain.problem.empty() && gain.interval.low > 1;
  const bool below = gain.problem.empty() && gain.interval.high < 1;
  return {
      {entry.arm},
      {entry.size},
      length_cell(entry.length),
      {short_words(entry.axis), name_of(entry.axis)},
      cell_of(gain.x, scientific),
      cell_of(gain.baseline_x, gain.beyond ? "-" : scientific(gain.baseline_x)),
      {std::isfinite(gain.gain) && !gain.beyond ? factor(gain.gain) + " x" : "-", exact(gain.gain),
       above                  ? "good"
       : below                ? "bad"
       : gain.problem.empty() ? ""
                              : "quiet"},
      gain_interval(gain),
      cell_of(gain.at_equal.share, percent(gain.at_equal.share)),
      {gain.at_equal.interval.known() ? interval_text(gain.at_equal.interval, 2, 100) : "-",
       exact(gain.at_equal.interval.low) + " " + exact(gain.at_equal.interval.high)},
      {gain.problem, "", "quiet"}};
}

}  // namespace

Table gains_table(const Report& report) {
  Table table{
      "gains",
      "Equivalent gain: what the baseline needs for the arm's loss, over what the arm used; "
      "only inside the baseline's fitted range. An end with * lies outside of it, an unbounded one "
      "where the baseline never reaches the loss" +
          scored_clause(report),
      {{"arm", "Arm", false},
       {"size", "Size", false},
       {"length", "Length", false},
       {"axis", "In", false},
       {"x", "Arm used"},
       {"baseline_x", "Baseline needs"},
       {"gain", "Gain"},
       {"interval", "95 % interval"},
       {"advantage", "Loss below its law"},
       {"advantage_interval", "95 % interval"},
       {.key = "problem",
        .title = "Not to be quoted:",
        .numeric = false,
        .wide = true,
        .below = true}},
      {}};
  for (const GainReport& entry : report.gains) table.rows.push_back(gain_row(entry));
  return table;
}

}  // namespace metascale
