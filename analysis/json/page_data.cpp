// The numbers behind the page's charts.
#include <algorithm>
#include <cmath>

#include "analysis/bands.hpp"
#include "analysis/json/parts.hpp"
#include "analysis/palette.hpp"
#include "analysis/published.hpp"
#include "analysis/render_json.hpp"
#include "analysis/support/text.hpp"
#include "analysis/tables.hpp"
#include "core/error.hpp"

namespace metascale {
namespace {

// A chart shows no more digits; the tables have them all.
Json shortened(double loss) { return number(std::round(loss * 1e5) / 1e5); }

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
      curve["loss"].push_back(shortened(point.loss));
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
                    {"anchor", run_anchor(run.id)},
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
  for (std::size_t i = 0; i < fit.points.size(); ++i)
    points.push_back({{"x", fit.points[i].x[0]},
                      {"y", fit.points[i].loss},
                      {"residual", number(fit.points[i].loss / fit.predict(fit.points[i].x) - 1)},
                      {"run", fit.points[i].label}});
  if (entry.held_out)
    for (const HeldOut& point : entry.held_out->held_out)
      held.push_back({{"x", point.x[0]},
                      {"y", number(point.predicted)},
                      {"low", number(point.interval.low)},
                      {"high", number(point.interval.high)},
                      {"run", point.label}});
  return {
      {"arm", entry.arm}, {"length", entry.length}, {"axis", name_of(entry.axis)}, {"line", line},
      {"points", points}, {"held", held},           {"healthy", fit.healthy()}};
}

Json bands_json(const Report& report) {
  Json list = Json::array();
  for (const SeedBand& band : seed_bands(report)) {
    Json entry{{"arm", band.arm}, {"size", band.size}, {"length", band.length}};
    for (const char* key : {"runs", "step", "tokens", "flops", "hours", "loss", "low", "high"})
      entry[key] = Json::array();
    for (const Run* run : band.runs) entry["runs"].push_back(run->id);
    for (std::size_t i = 0; i < band.mean.size(); ++i) {
      const CurvePoint& point = band.mean[i];
      entry["step"].push_back(point.step), entry["tokens"].push_back(point.tokens);
      entry["flops"].push_back(number(point.flops)), entry["hours"].push_back(number(point.hours));
      entry["loss"].push_back(shortened(point.loss));
      entry["low"].push_back(shortened(band.low[i]));
      entry["high"].push_back(shortened(band.high[i]));
    }
    list.push_back(std::move(entry));
  }
  return list;
}

Json gains_json(const Report& report) {
  Json list = Json::array();
  for (const GainReport& entry : report.gains)
    if (entry.gain.problem.empty())
      list.push_back({{"arm", entry.arm},
                      {"size", entry.size},
                      {"length", entry.length},
                      {"axis", name_of(entry.axis)},
                      {"gain", number(entry.gain.gain)},
                      {"low", number(entry.gain.interval.low)},
                      {"high", number(entry.gain.interval.high)},
                      {"known", entry.gain.interval.known()}});
  return list;
}

Json isoflop_line(const IsoflopFit& fit, double confidence) {
  Json line = Json::array();
  if (!std::isfinite(fit.exponent)) return line;
  for (const double flops : log_spaced(fit.budgets.front().flops, fit.budgets.back().flops)) {
    const Interval band = fit.predict_interval(flops, confidence);
    line.push_back({{"x", flops},
                    {"y", number(fit.predict(flops))},
                    {"low", number(band.low)},
                    {"high", number(band.high)}});
  }
  return line;
}

Json isoflop_profile(const IsoflopReport& entry, const IsoflopProfile& profile, std::size_t place) {
  const IsoflopBudget& budget = entry.fit->budgets.at(place);
  Json points = Json::array(), line = Json::array();
  for (const Cell* cell : profile.cells)
    points.push_back({{"x", number(value_on(entry.axis, *cell))},
                      {"y", number(cell->loss)},
                      {"size", cell->size},
                      {"seeds", cell->runs.size()}});
  for (const double x : log_spaced(budget.smallest, budget.largest))
    line.push_back({{"x", x}, {"y", number(budget.loss_at(x))}});
  return {{"flops", profile.flops},
          {"points", std::move(points)},
          {"line", std::move(line)},
          {"optimum", number(budget.parameters)},
          {"low", budget.interval.low > 0 ? number(budget.interval.low) : Json(nullptr)},
          {"high", number(budget.interval.high)},
          {"known", budget.interval.known()},
          {"loss", number(budget.loss)},
          {"used", budget.problem.empty()},
          {"light", arm_colour(place).light},
          {"dark", arm_colour(place).dark}};
}

Json isoflops_json(const Report& report) {
  Json list = Json::array();
  for (const IsoflopReport& entry : report.isoflops) {
    if (!entry.fit) continue;
    Json profiles = Json::array();
    for (const IsoflopProfile& profile : entry.profiles)
      if (profile.no_data.empty())
        profiles.push_back(isoflop_profile(entry, profile, profiles.size()));
    list.push_back({{"arm", entry.arm},
                    {"axis", name_of(entry.axis)},
                    {"healthy", entry.fit->healthy()},
                    {"profiles", std::move(profiles)},
                    {"line", isoflop_line(*entry.fit, report.confidence)}});
  }
  return list;
}

// Curves of the measured architectures; an arm's colour where one is of that architecture.
Json context_json(const Report& report) {
  Json list = Json::array();
  if (!report.collection.context) return list;
  for (const ContextModel& model : report.collection.context->models) {
    std::string arm;
    for (const Run& run : report.collection.runs)
      if (arm.empty() && run.architecture == model.architecture) arm = run.arm;
    Json entry{{"architecture", model.architecture}, {"arm", arm}};
    for (const char* phase : {"training", "generation"}) {
      Json seconds = Json::array(), bytes = Json::array();
      for (const ContextPoint& point : model.curve(phase)) {
        seconds.push_back({{"x", point.tokens}, {"y", number(point.seconds)}});
        bytes.push_back({{"x", point.tokens}, {"y", number(point.bytes)}});
      }
      entry[concat(phase, "_seconds")] = std::move(seconds);
      entry[concat(phase, "_bytes")] = std::move(bytes);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

std::string render_page_data(const Report& report) {
  Json json{{"sizes", report.sizes()}, {"lengths", report.lengths()}};
  json["arms"] = Json::array(), json["fits"] = Json::array();
  for (std::size_t i = 0; i < report.collection.arms.size(); ++i)
    json["arms"].push_back({{"name", report.collection.arms[i]},
                            {"light", arm_colour(i).light},
                            {"dark", arm_colour(i).dark}});
  json["cells"] = cells_json(report);
  json["runs"] = runs_json(report);
  json["bands"] = bands_json(report);
  json["laws"] = law_curves_json(report);
  json["isoflop"] = isoflops_json(report);
  json["gains"] = gains_json(report);
  json["context"] = context_json(report);
  json["probes"] = probe_curves_json(report);
  json["depths"] = probe_depths_json(report);
  json["depth_curves"] = depth_curves_json(report);
  json["lineages"] = lineages_json(report);
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
