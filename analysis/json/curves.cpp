// Accuracy on probes, losses along lineages, and laws in N and D.
#include <cmath>

#include "analysis/json/parts.hpp"
#include "analysis/law_curves.hpp"
#include "analysis/lineage.hpp"
#include "analysis/probe_curves.hpp"
#include "analysis/support/text.hpp"

namespace metascale {
namespace {

Json probe_line(const ProbeLine& line) {
  Json points = Json::array();
  for (const ProbePoint& point : line.points)
    points.push_back({{"x", number(point.x)},
                      {"y", number(point.share.value)},
                      {"low", number(point.share.interval.low)},
                      {"high", number(point.share.interval.high)},
                      {"seeds", point.seeds},
                      {"tested", point.tested},
                      {"size", point.size}});
  return {{"arm", line.arm}, {"points", std::move(points)}};
}

Json depth_line(const DepthLine& line) {
  Json points = Json::array();
  for (const DepthPoint& point : line.points)
    points.push_back({{"x", point.trained},
                      {"y", point.drawn()},
                      {"solved", point.least > 0},
                      {"tried", point.tried}});
  return {{"arm", line.arm}, {"points", std::move(points)}};
}

Json lineage_point(const LineagePoint& point) {
  return {{"arm", point.arm},           {"size", point.size},          {"x", number(point.flops)},
          {"y", number(point.loss)},    {"low", number(point.low)},    {"high", number(point.high)},
          {"seeds", point.runs.size()}, {"runs", run_list(point.runs)}};
}

// A chart shows no more digits.
Json drawn(double loss) { return number(std::round(loss * 1e5) / 1e5); }

Json law_curve(const LawCurve& curve) {
  Json line{
      {"x", Json::array()}, {"y", Json::array()}, {"low", Json::array()}, {"high", Json::array()}};
  for (std::size_t i = 0; i < curve.tokens.size(); ++i) {
    line["x"].push_back(std::round(curve.tokens[i])), line["y"].push_back(drawn(curve.loss[i]));
    line["low"].push_back(drawn(curve.band[i].low));
    line["high"].push_back(drawn(curve.band[i].high));
  }
  Json points = Json::array();
  for (const LawPoint& point : curve.points)
    points.push_back({{"x", number(point.tokens)},
                      {"y", number(point.loss)},
                      {"deviation", number(point.deviation)},
                      {"fitted", number(point.fitted)},
                      {"length", length_words(point.length)},
                      {"seeds", point.runs.size()}});
  return {{"arm", curve.arm},
          {"size", curve.size},
          {"line", std::move(line)},
          {"points", std::move(points)}};
}

}  // namespace

Json law_curves_json(const Report& report) {
  Json list = Json::array();
  for (const LawCurves& law : law_curves(report)) {
    Json curves = Json::array();
    for (const LawCurve& curve : law.curves) curves.push_back(law_curve(curve));
    list.push_back({{"key", law.key}, {"words", law.words}, {"curves", std::move(curves)}});
  }
  return list;
}

Json probe_curves_json(const Report& report) {
  Json list = Json::array();
  for (const ProbeCurves& curves : probe_curves(report)) {
    Json lines = Json::array();
    for (const ProbeLine& line : curves.lines) lines.push_back(probe_line(line));
    list.push_back(
        {{"task", curves.task},
         {"against", name_of(curves.axis)},
         {"words", words_of(curves.axis)},
         {"held", curves.held + (curves.parameters.empty() ? "" : ", " + curves.parameters)},
         {"uniform_guess", number(curves.chance)},
         {"lines", std::move(lines)}});
  }
  return list;
}

Json probe_depths_json(const Report& report) {
  Json list = Json::array();
  for (const ProbeDepth& depth : probe_depths(report))
    list.push_back({{"task", depth.task},
                    {"probe", depth.probe},
                    {"width", depth.width > 0 ? Json(depth.width) : Json(nullptr)},
                    {"trained", depth.trained},
                    {"arm", depth.arm},
                    {"least", depth.least > 0 ? Json(depth.least) : Json(nullptr)},
                    {"tried", depth.tried}});
  return list;
}

// y: the least layers, or the most that were tried, of which none solved it.
Json depth_curves_json(const Report& report) {
  Json list = Json::array();
  for (const DepthCurves& curves : depth_curves(report)) {
    Json lines = Json::array();
    for (const DepthLine& line : curves.lines) lines.push_back(depth_line(line));
    list.push_back({{"task", curves.task},
                    {"against", "depth"},
                    {"words", words_of_depth_axis()},
                    {"held", curves.held},
                    {"lines", std::move(lines)}});
  }
  return list;
}

Json lineages_json(const Report& report) {
  Json list = Json::array();
  for (const Lineage& lineage : lineages(report)) {
    Json stages = Json::array(), scratch = Json::array();
    for (const LineagePoint& stage : lineage.stages) stages.push_back(lineage_point(stage));
    for (const ScratchPoint& one : lineage.scratch) {
      scratch.push_back(lineage_point(one.point));
      scratch.back()["role"] = role_of(one);
      scratch.back()["total"] = one.compute == ScratchCompute::total;
    }
    list.push_back({{"arm", lineage.arm},
                    {"size", lineage.size},
                    {"length", lineage.length},
                    {"stages", std::move(stages)},
                    {"scratch", std::move(scratch)}});
  }
  return list;
}

}  // namespace metascale
