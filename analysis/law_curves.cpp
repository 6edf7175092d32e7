#include "analysis/law_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <span>

#include "analysis/render_json.hpp"

namespace metascale {
namespace {

constexpr int points_of_line = 24;  // a law is smooth

// What a law says of the loss at {N, D}.
struct LawOfArm {
  std::string arm;
  std::span<const FitPoint> points;
  std::function<double(std::span<const double>)> loss_at;
  std::function<Interval(std::span<const double>)> band_at;
};

using RunsById = std::map<std::string, const Run*>;

RunsById runs_by_id(const Report& report) {
  RunsById runs;
  for (const Run& run : report.collection.runs) runs[run.id] = &run;
  return runs;
}

// A cell's runs as one point; of its law the mean, should the runs' tokens differ.
LawPoint point_of(const std::vector<const FitPoint*>& fitted, const LawOfArm& law,
                  const RunsById& runs) {
  LawPoint point;
  const double count = double(fitted.size());
  for (const FitPoint* each : fitted) {
    point.runs.push_back(runs.at(each->label));
    point.tokens += each->x[1] / count, point.loss += each->loss / count;
    point.fitted += law.loss_at(each->x) / count;
  }
  double squares = 0;
  for (const FitPoint* each : fitted) squares += std::pow(each->loss - point.loss, 2);
  point.deviation =
      count > 1 ? std::sqrt(squares / (count - 1)) : std::numeric_limits<double>::quiet_NaN();
  point.length = point.runs.front()->length;
  return point;
}

void add_line(const LawOfArm& law, LawCurve& curve) {
  curve.tokens =
      log_spaced(curve.points.front().tokens, curve.points.back().tokens, points_of_line);
  for (const double tokens : curve.tokens) {
    const double at[] = {curve.parameters, tokens};
    curve.loss.push_back(law.loss_at(at));
    curve.band.push_back(law.band_at(at));
  }
}

LawCurve curve_of(const LawOfArm& law, const std::string& size, const RunsById& runs) {
  std::map<std::string, std::vector<const FitPoint*>> cells;
  LawCurve curve{law.arm, size};
  double count = 0;
  for (const FitPoint& point : law.points) {
    if (runs.at(point.label)->size != size) continue;
    cells[point.cell].push_back(&point);
    curve.parameters += point.x[0], ++count;
  }
  curve.parameters /= count;
  for (const auto& [cell, fitted] : cells) curve.points.push_back(point_of(fitted, law, runs));
  std::stable_sort(curve.points.begin(), curve.points.end(),
                   [](const LawPoint& a, const LawPoint& b) { return a.tokens < b.tokens; });
  if (!curve.points.empty()) add_line(law, curve);
  return curve;
}

void add_curves(const Report& report, const LawOfArm& law, LawCurves& curves) {
  const RunsById runs = runs_by_id(report);
  for (const std::string& size : report.sizes())
    if (LawCurve curve = curve_of(law, size, runs); !curve.points.empty())
      curves.curves.push_back(std::move(curve));
}

std::string words_of(double ratio, const Interval& interval) {
  return fmt::format("{:.3f}", ratio) +
         (interval.known() ? fmt::format(" [{:.3f}, {:.3f}]", interval.low, interval.high) : "");
}

// Every arm's own law of this kind.
LawCurves curves_alone(const Report& report, LawKind kind) {
  LawCurves curves{name_of(kind), fmt::format("each arm alone: {}", formula_of(kind)), "", {}};
  for (const ArmFit& entry : report.fits) {
    if (entry.length != "all" || entry.fit.kind != kind) continue;
    const Fit& fit = entry.fit;
    add_curves(report,
               {entry.arm, fit.points, [&](auto at) { return fit.predict(at); },
                [&](auto at) { return fit.predict_interval(at, report.confidence); }},
               curves);
    if (!fit.healthy())
      curves.words += fmt::format("{}The law of {} has a problem that the table names.",
                                  curves.words.empty() ? "" : " ", entry.arm);
  }
  return curves;
}

LawCurves curves_together(const Report& report, const JointReport& entry) {
  const JointFit& fit = entry.fit;
  LawCurves curves{"joint-" + entry.second_arm,
                   fmt::format("{} and {} under one law", entry.second_arm, entry.first_arm),
                   fmt::format("A of {0} is {1} of that of {2}, its B {3}.", entry.second_arm,
                               words_of(fit.ratio_a, fit.interval_a), entry.first_arm,
                               words_of(fit.ratio_b, fit.interval_b)),
                   {}};
  if (!fit.healthy()) curves.words += " The law has a problem that the table names.";
  const std::string* const arms[] = {&entry.first_arm, &entry.second_arm};
  for (std::size_t arm = 0; arm < 2; ++arm)
    add_curves(report,
               {*arms[arm], fit.points_of_arm[arm], [&](auto at) { return fit.predict(arm, at); },
                [](auto) { return Interval{}; }},
               curves);
  return curves;
}

}  // namespace

std::vector<LawCurves> law_curves(const Report& report) {
  std::vector<LawCurves> list;
  for (const LawKind kind : {LawKind::chinchilla, LawKind::tied})
    list.push_back(curves_alone(report, kind));
  for (const JointReport& entry : report.joint_fits) list.push_back(curves_together(report, entry));
  std::erase_if(list, [](const LawCurves& curves) { return curves.curves.empty(); });
  return list;
}

}  // namespace metascale
