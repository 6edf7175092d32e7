#include "analysis/render_json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/palette.hpp"
#include "analysis/published.hpp"
#include "analysis/support/text.hpp"
#include "core/build_info.hpp"

namespace metascale {
namespace {

using Json = nlohmann::ordered_json;

// NaN and infinity have no JSON: null.
Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number(value));
  return list;
}
Json interval(const Interval& value) {
  return Json::array({number(value.low), number(value.high)});
}

Json fit_json(const Fit& fit) {
  Json json{{"law", name_of(fit.kind)}};
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
  json["problems"] = fit.problems;
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
               {"length", pair.pair->length}};
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

Json cells_json(const Report& report) {
  Json list = Json::array();
  for (const Cell& cell : report.cells)
    list.push_back({{"arm", cell.arm},
                    {"size", cell.size},
                    {"length", cell.length},
                    {"seeds", cell.runs.size()},
                    {"parameters", number(cell.parameters)},
                    {"non_embedding_parameters", number(cell.non_embedding_parameters)},
                    {"flops_per_token", number(cell.flops_per_token)},
                    {"tokens", number(cell.tokens)},
                    {"training_flops", number(cell.training_flops)},
                    {"loss", number(cell.loss)},
                    {"deviation", number(cell.loss_deviation)},
                    {"bits", number(cell.bits_per_byte)}});
  return list;
}

Json runs_json(const Report& report) {
  Json list = Json::array();
  for (const Run& run : report.collection.runs) {
    if (run.curve.empty() || run.role == "trial" || !run.left_out.empty()) continue;
    Json curve, evaluations;
    for (const char* key : {"step", "tokens", "flops", "hours", "loss"})
      curve[key] = Json::array(), evaluations[key] = Json::array();
    for (const CurvePoint& point : run.curve) {
      curve["step"].push_back(point.step), curve["tokens"].push_back(point.tokens);
      curve["flops"].push_back(number(point.flops));
      curve["hours"].push_back(number(point.hours));
      curve["loss"].push_back(number(std::round(point.loss * 1e5) / 1e5));
    }
    for (const Evaluation& evaluation : run.log.evaluations) {
      if (evaluation.tokens <= 0 || evaluation.split != "validation") continue;
      const auto at = std::lower_bound(
          run.curve.begin(), run.curve.end(), evaluation.step,
          [](const CurvePoint& point, std::int64_t step) { return point.step < step; });
      if (at == run.curve.end()) continue;
      evaluations["step"].push_back(evaluation.step), evaluations["tokens"].push_back(at->tokens);
      evaluations["flops"].push_back(number(at->flops));
      evaluations["hours"].push_back(number(at->hours));
      evaluations["loss"].push_back(number(evaluation.loss()));
    }
    list.push_back({{"id", run.id},
                    {"arm", run.arm},
                    {"size", run.size},
                    {"length", run.length},
                    {"length_words", length_words(run.length)},
                    {"seed", run.seed},
                    {"state", name_of(run.state)},
                    {"curve", std::move(curve)},
                    {"evaluations", std::move(evaluations)}});
  }
  return list;
}

Json chart_fit(const ArmFit& entry) {
  const Fit& fit = entry.fit;
  Json line{
      {"x", Json::array()}, {"y", Json::array()}, {"low", Json::array()}, {"high", Json::array()}};
  for (const double x : line_of(fit)) {
    const double at[] = {x};
    const Interval band = fit.predict_interval(at);
    line["x"].push_back(x), line["y"].push_back(number(fit.predict(at)));
    line["low"].push_back(number(band.low)), line["high"].push_back(number(band.high));
  }
  Json points = Json::array(), held = Json::array();
  for (const FitPoint& point : fit.points)
    points.push_back({{"x", point.x[0]}, {"y", point.loss}, {"run", point.label}});
  if (entry.without_largest)
    for (const HeldOut& point : entry.without_largest->held_out)
      held.push_back({{"x", point.x[0]},
                      {"y", number(point.predicted)},
                      {"low", number(point.interval.low)},
                      {"high", number(point.interval.high)},
                      {"run", point.label}});
  return {
      {"arm", entry.arm}, {"length", entry.length}, {"axis", name_of(entry.axis)}, {"line", line},
      {"points", points}, {"held", held},           {"healthy", fit.healthy()}};
}

Json isoflop_json(const IsoflopFit& fit) {
  Json json{{"law", "isoflop"},
            {"coefficients",
             {{"coefficient", number(fit.coefficient)},
              {"exponent", number(fit.exponent)},
              {"token_exponent", number(fit.token_exponent)}}},
            {"intervals", {{"exponent", interval(fit.interval)}}},
            {"healthy", fit.healthy()},
            {"problems", fit.problems},
            {"budgets", Json::array()}};
  for (const IsoflopBudget& budget : fit.budgets)
    json["budgets"].push_back({{"flops", number(budget.flops)},
                               {"points", budget.points},
                               {"curvature", number(budget.curvature)},
                               {"parameters", number(budget.parameters)},
                               {"loss", number(budget.loss)},
                               {"problem", budget.problem}});
  return json;
}

}  // namespace

std::string render_fit_json(const FitTableResult& result) {
  Json json = result.fit ? fit_json(*result.fit) : isoflop_json(*result.isoflop);
  json["notes"] = result.notes;
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

std::vector<double> line_of(const Fit& fit, int points) {
  double low = fit.points.front().x[0], high = low;
  for (const FitPoint& point : fit.points)
    low = std::min(low, point.x[0]), high = std::max(high, point.x[0]);
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
            {"protocol", report.protocol},
            {"arms", report.collection.arms},
            {"notes", report.notes}};
  json["claims"] = Json::array(), json["fits"] = Json::array(), json["gains"] = Json::array();
  for (const Claim& claim : report.claims)
    json["claims"].push_back({{"letter", claim.letter},
                              {"claim", claim.text},
                              {"verdict", name_of(claim.verdict)},
                              {"evidence", claim.evidence_text()},
                              {"would_decide", claim.would_decide}});
  json["cells"] = cells_json(report);
  json["pairs"] = pairs_json(report);
  for (const ArmFit& entry : report.fits) {
    Json fit = fit_json(entry.fit);
    fit["arm"] = entry.arm, fit["length"] = entry.length, fit["axis"] = name_of(entry.axis);
    if (entry.without_largest) fit["without_largest"] = fit_json(*entry.without_largest);
    json["fits"].push_back(std::move(fit));
  }
  for (const GainReport& entry : report.gains)
    json["gains"].push_back({{"arm", entry.arm},
                             {"size", entry.size},
                             {"length", entry.length},
                             {"axis", name_of(entry.axis)},
                             {"x", number(entry.gain.x)},
                             {"baseline_x", number(entry.gain.baseline_x)},
                             {"gain", number(entry.gain.gain)},
                             {"interval", interval(entry.gain.interval)},
                             {"problem", entry.gain.problem}});
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string render_page_data(const Report& report) {
  Json json{{"sizes", report.sizes()}, {"lengths", report.lengths()}};
  json["arms"] = Json::array(), json["fits"] = Json::array();
  for (std::size_t i = 0; i < report.collection.arms.size(); ++i)
    json["arms"].push_back({{"name", report.collection.arms[i]},
                            {"light", arm_colour(i).light},
                            {"dark", arm_colour(i).dark}});
  json["cells"] = cells_json(report);
  json["runs"] = runs_json(report);
  for (const ArmFit& entry : report.fits)
    if (entry.length != "all") json["fits"].push_back(chart_fit(entry));
  json["published"] = Json::array();
  for (const PublishedResult& entry : comparable_results(report))
    json["published"].push_back(
        {{"model", entry.model},
         {"parameters", number(entry.parameters)},
         {"non_embedding_parameters", number(entry.non_embedding_parameters)},
         {"loss", number(entry.loss)}});
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace), safe;
  for (const char letter : text) {
    if (letter == '<')
      safe += "\\u003c";
    else
      safe += letter;
  }
  return safe;
}

}  // namespace metascale
