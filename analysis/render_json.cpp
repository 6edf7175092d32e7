#include "analysis/render_json.hpp"

#include <algorithm>
#include <cmath>

#include "analysis/fitting/health.hpp"
#include "analysis/json/parts.hpp"
#include "core/build_info.hpp"

namespace metascale {
namespace {

// An end is null where it is infinite, and both where there is no interval.
Json prediction_json(const Prediction& ahead) {
  return {{"x", numbers(ahead.x)},
          {"value", number(ahead.value)},
          {"interval", interval(ahead.interval)},
          {"interval_unbounded", unbounded(ahead.interval)}};
}

Json fit_json(const Fit& fit) {
  Json json{{"law", name_of(fit.kind)}, {"prediction", prediction_json(predict_ahead(fit))}};
  for (std::size_t i = 0; i < fit.coefficients.size(); ++i) {
    json["coefficients"][law(fit.kind).names[i]] = number(fit.coefficients[i]);
    if (!fit.intervals.empty())
      json["intervals"][law(fit.kind).names[i]] = interval(fit.intervals[i]);
  }
  json["objective"] = number(fit.objective);
  json["worst_residual"] = number(fit.worst_residual);
  json["agreement"] = number(fit.agreement);
  json["gradient"] = number(fit.gradient);
  json["cells"] = fit.cells;
  json["parametric_bootstrap"] = fit.parametric_bootstrap;
  json["healthy"] = fit.healthy();
  json["health"] = health_words(fit.problems, !fit.replicates.empty());
  json["problems"] = fit.problems;
  if (law(fit.kind).variables == 2) {
    const double flops = largest_flops(fit);
    const Allocation best = allocate(fit, flops);
    json["allocation"] = {{"flops", number(flops)},
                          {"parameters", number(best.parameters)},
                          {"tokens", number(best.tokens)},
                          {"parameters_exponent", number(best.parameters_exponent)}};
  }
  json["points"] = Json::array(), json["held_out"] = Json::array();
  for (std::size_t i = 0; i < fit.points.size(); ++i)
    json["points"].push_back({{"run", fit.points[i].label},
                              {"x", numbers(fit.points[i].x)},
                              {"loss", number(fit.points[i].loss)},
                              {"residual", number(fit.residuals[i])}});
  for (const HeldOut& point : fit.held_out)
    json["held_out"].push_back({{"run", point.label},
                                {"x", numbers(point.x)},
                                {"measured", number(point.measured)},
                                {"predicted", number(point.predicted)},
                                {"interval", interval(point.interval)},
                                {"error", number(point.error())}});
  if (!fit.no_influence.empty()) json["influence"] = nullptr;
  for (const Influence& entry : fit.influence)
    json["influence"].push_back({{"run", entry.label}, {"change", numbers(entry.change)}});
  return json;
}

Json paired_json(const PairedResult& result) {
  return {{"difference", number(result.difference)},
          {"relative", number(result.relative)},
          {"bits_per_byte", number(result.bits_per_byte)},
          {"percentile", interval(result.percentile)},
          {"bca", interval(result.bca)},
          {"with_seeds", interval(result.with_seeds)},
          {"per_seed", numbers(result.per_seed)},
          {"assumed_seed_noise", result.assumed_seed_noise},
          {"documents", result.documents},
          {"tokens", result.tokens}};
}

Json pairs_json(const Report& report) {
  Json list = Json::array();
  for (const PairReport& pair : report.pairs) {
    Json entry{{"first", pair.pair->first_arm},
               {"second", pair.pair->second_arm},
               {"size", pair.pair->size},
               {"length", pair.pair->length},
               {"residual_mismatch", number(pair.pair->residual)}};
    if (pair.problem.empty())
      entry["result"] = paired_json(pair.result);
    else
      entry["problem"] = pair.problem;
    for (const DomainDifference& domain : pair.domains)
      entry["domains"][domain.domain] = paired_json(domain.result);
    list.push_back(std::move(entry));
  }
  return list;
}

Json joint_json(const JointReport& entry) {
  const JointFit& fit = entry.fit;
  Json json{
      {"first", entry.first_arm},
      {"second", entry.second_arm},
      {"predictions", Json::array({prediction_json(fit.ahead[0]), prediction_json(fit.ahead[1])})}};
  for (std::size_t i = 0; i < JointFit::names.size(); ++i) {
    json["coefficients"][JointFit::names[i]] = number(fit.coefficients[i]);
    if (!fit.intervals.empty()) json["intervals"][JointFit::names[i]] = interval(fit.intervals[i]);
  }
  json["ratio_a"] = number(fit.ratio_a), json["ratio_b"] = number(fit.ratio_b);
  json["interval_a"] = interval(fit.interval_a), json["interval_b"] = interval(fit.interval_b);
  json["interval_a_unbounded"] = unbounded(fit.interval_a);
  json["interval_b_unbounded"] = unbounded(fit.interval_b);
  json["objective"] = number(fit.objective);
  json["separate_objective"] = number(fit.separate_objective);
  json["p_value"] = number(fit.p_value);
  json["healthy"] = fit.healthy();
  json["health"] = health_words(fit.problems, !fit.intervals.empty());
  json["problems"] = fit.problems;
  return json;
}

Json budget_json(const IsoflopBudget& budget) {
  return {{"flops", number(budget.flops)},
          {"sizes", budget.sizes},
          {"curvature", number(budget.curvature)},
          {"parameters", number(budget.parameters)},
          {"interval", interval(budget.interval)},
          {"interval_unbounded", unbounded(budget.interval)},
          {"refused_draws", number(budget.refused_draws)},
          {"loss", number(budget.loss)},
          {"problem", budget.problem}};
}

Json isoflop_json(const IsoflopFit& fit) {
  const double ahead = fit.budgets.empty() ? std::nan("") : 2 * fit.budgets.back().flops;
  Json json{{"law", "isoflop"},
            {"prediction",
             {{"flops", number(ahead)},
              {"parameters", number(fit.predict(ahead))},
              {"interval", interval(fit.predict_interval(ahead))},
              {"interval_unbounded", unbounded(fit.predict_interval(ahead))}}},
            {"coefficients",
             {{"coefficient", number(fit.coefficient)},
              {"exponent", number(fit.exponent)},
              {"unchecked_exponent", number(fit.unchecked_exponent)},
              {"token_exponent", number(fit.token_exponent)}}},
            {"intervals", {{"exponent", interval(fit.interval)}}},
            {"healthy", fit.healthy()},
            {"health", health_words(fit.problems, !fit.replicates.empty())},
            {"problems", fit.problems},
            {"budgets", Json::array()}};
  for (const IsoflopBudget& budget : fit.budgets) json["budgets"].push_back(budget_json(budget));
  return json;
}

// Not `unbounded`: an accuracy or a gain may end at 0.
Json infinite(const Interval& value) {
  return Json::array({bool(std::isinf(value.low)), bool(std::isinf(value.high))});
}

Json values_json(const Claim& claim) {
  Json list = Json::array();
  for (const ClaimValue& each : claim.values)
    list.push_back({{"arm", each.arm},
                    {"against", each.against},
                    {"size", each.size},
                    {"length", each.length},
                    {"measure", each.measure},
                    {"value", number(each.value)},
                    {"interval", interval(each.interval)},
                    {"interval_unbounded", infinite(each.interval)},
                    {"runs", each.runs}});
  return list;
}

Json totals_json(const Report& report) {
  const Totals totals = totals_of(report);
  return {{"runs", totals.runs},
          {"runs_done", totals.done},
          {"sizes", totals.sizes},
          {"matched_pairs", totals.pairs},
          {"refused_pairs", totals.refused},
          {"model_flops", number(totals.flops)},
          {"hours", number(totals.hours)}};
}

// An arm's profiles: which cells stand on each, and why a budget or the whole has no data.
Json isoflop_report_json(const IsoflopReport& entry) {
  Json json{{"arm", entry.arm},
            {"axis", name_of(entry.axis)},
            {"no_data", entry.no_data},
            {"profiles", Json::array()}};
  for (const IsoflopProfile& profile : entry.profiles) {
    Json cells = Json::array();
    for (const Cell* cell : profile.cells)
      cells.push_back({{"size", cell->size},
                       {"length", cell->length},
                       {"parameters", number(value_on(entry.axis, *cell))},
                       {"flops", number(cell->training_flops)},
                       {"loss", number(cell->loss)},
                       {"runs", run_list(cell->runs)}});
    json["profiles"].push_back({{"flops", number(profile.flops)},
                                {"spread", number(profile.spread)},
                                {"no_data", profile.no_data},
                                {"cells", std::move(cells)}});
  }
  if (entry.fit) json["fit"] = isoflop_json(*entry.fit);
  return json;
}

Json claims_json(const Report& report) {
  Json list = Json::array();
  for (const Claim& claim : report.claims)
    list.push_back({{"letter", claim.letter},
                    {"claim", claim.text},
                    {"verdict", name_of(claim.verdict)},
                    {"evidence", claim.evidence_text()},
                    {"values", values_json(claim)},
                    {"would_decide", claim.would_decide}});
  return list;
}

Json fits_json(const Report& report) {
  Json list = Json::array();
  for (const ArmFit& entry : report.fits) {
    Json fit = fit_json(entry.fit);
    fit["arm"] = entry.arm, fit["length"] = entry.length, fit["axis"] = name_of(entry.axis);
    if (!entry.size.empty()) fit["size"] = entry.size;
    if (entry.held_out) {
      fit["held_out_what"] = entry.held_out_what;
      fit["without_held_out"] = fit_json(*entry.held_out);
    }
    list.push_back(std::move(fit));
  }
  return list;
}

Json gains_json(const Report& report) {
  Json list = Json::array();
  for (const GainReport& entry : report.gains)
    list.push_back({{"arm", entry.arm},
                    {"size", entry.size},
                    {"length", entry.length},
                    {"axis", name_of(entry.axis)},
                    {"x", number(entry.gain.x)},
                    {"baseline_x", number(entry.gain.baseline_x)},
                    {"gain", number(entry.gain.gain)},
                    {"interval", interval(entry.gain.interval)},
                    {"interval_unbounded", unbounded(entry.gain.interval)},
                    {"interval_outside_fit", {entry.gain.low_beyond, entry.gain.high_beyond}},
                    {"advantage", number(entry.gain.at_equal.share)},
                    {"advantage_interval", interval(entry.gain.at_equal.interval)},
                    {"problem", entry.gain.problem}});
  return list;
}

}  // namespace

std::string render_fit_json(const FitTableResult& result) {
  Json json = result.joint ? joint_json(*result.joint)
              : result.fit ? fit_json(*result.fit)
                           : isoflop_json(*result.isoflop);
  if (result.joint) json["law"] = result.law;
  json["notes"] = result.notes;
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::vector<double> line_of(const Fit& fit) {
  double low = fit.points.front().x[0], high = low;
  for (const FitPoint& point : fit.points)
    low = std::min(low, point.x[0]), high = std::max(high, point.x[0]);
  return log_spaced(low, high);
}

std::vector<double> log_spaced(double low, double high, int points) {
  constexpr double beyond = 1.15;  // so that the end points do not stand on the line's ends
  low /= beyond, high *= beyond;
  std::vector<double> x;
  for (int i = 0; i < points; ++i)
    x.push_back(low * std::pow(high / low, double(i) / double(points - 1)));
  return x;
}

std::string render_json(const Report& report) {
  Json json{{"schema", 1},
            {"sweep", report.collection.sweep},
            {"generated", report.generated},
            {"program", build_info()},
            {"confidence", report.confidence},
            {"assumed_seed_deviation", number(report.seed_deviation)},
            {"protocol", report.protocol},
            {"arms", report.collection.arms},
            {"totals", totals_json(report)},
            {"notes", report.notes}};
  json["claims"] = claims_json(report);
  json["fits"] = fits_json(report), json["gains"] = gains_json(report);
  json["cells"] = cells_json(report);
  json["pairs"] = pairs_json(report);
  json["probes"] = probe_curves_json(report);
  json["probe_depths"] = probe_depths_json(report);
  json["lineages"] = lineages_json(report);
  json["joint_fits"] = Json::array();
  for (const JointReport& entry : report.joint_fits)
    json["joint_fits"].push_back(joint_json(entry));
  json["isoflop"] = Json::array();
  for (const IsoflopReport& entry : report.isoflops)
    json["isoflop"].push_back(isoflop_report_json(entry));
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace metascale
