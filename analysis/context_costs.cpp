#include "analysis/context_costs.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "core/line_fit.hpp"

namespace metascale {
namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = 16u << 20;

// A cost on a logarithmic axis.
double cost_of(const json& value, const char* what) {
  const double cost = value.get<double>();
  if (!(cost >= 0) || !std::isfinite(cost))
    throw Error(concat(what, " is ", cost, ", not a cost"), ExitCode::bad_input);
  return cost;
}

std::vector<ContextPoint> curve_of(const json& curve) {
  std::vector<ContextPoint> points;
  for (const json& point : curve.at("points")) {
    points.push_back({point.at("tokens").get<std::int64_t>(),
                      cost_of(point.at("seconds_per_token"), "seconds_per_token"),
                      cost_of(point.at("planned_bytes"), "planned_bytes"),
                      cost_of(point.at("resident_bytes"), "resident_bytes")});
    if (points.back().tokens < 1)
      throw Error(concat("tokens is ", points.back().tokens), ExitCode::bad_input);
  }
  return points;
}

ContextModel model_of(const json& row) {
  ContextModel model{row.at("architecture").get<std::string>(),
                     row.at("parameters").get<std::int64_t>(),
                     curve_of(row.at("training")),
                     curve_of(row.at("generation")),
                     {}};
  for (const auto& [quantity, fit] : row.at("exponents").items())
    if (!fit.is_null())
      model.exponents.push_back(
          {quantity,
           fit.at("exponent").get<double>(),
           {fit.at("interval").at(0).get<double>(), fit.at("interval").at(1).get<double>()},
           fit.at("points").get<std::int64_t>()});
  return model;
}

}  // namespace

const ContextExponent* ContextModel::exponent(const std::string& quantity) const {
  for (const ContextExponent& candidate : exponents)
    if (candidate.quantity == quantity) return &candidate;
  return nullptr;
}

const std::vector<ContextPoint>& ContextModel::curve(const std::string& quantity) const {
  return quantity.starts_with("training") ? training : generation;
}

const ContextModel* ContextCosts::find(const std::string& architecture) const {
  for (const ContextModel& model : models)
    if (model.architecture == architecture) return &model;
  return nullptr;
}

std::optional<MemoryGrowth> measured_growth(const ContextModel& model,
                                            const ContextModel& attention) {
  const std::vector<ContextPoint>& points = model.generation;
  const bool measured = std::ranges::any_of(
      points, [](const ContextPoint& point) { return point.resident_bytes > 0; });
  if (points.size() < 3 || !measured || attention.generation.empty()) return std::nullopt;
  const ContextPoint& longest = attention.generation.back();
  const double cache = longest.bytes / double(longest.tokens);  // of one token
  if (!(cache > 0)) return std::nullopt;
  std::vector<double> tokens, bytes;
  for (const ContextPoint& point : points) {
    tokens.push_back(double(point.tokens));
    bytes.push_back(point.resident_bytes);
  }
  const std::optional<LineFit> line = fit_line(tokens, bytes);
  if (!line) return std::nullopt;
  const double slope = line->slope, half = line->half;
  return MemoryGrowth{slope / cache, {(slope - half) / cache, (slope + half) / cache}};
}

std::optional<ContextCosts> read_context_costs(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const json root = parse_json_or_throw(read_file(file, most_bytes));
    ContextCosts costs;
    for (const json& row : root.at("models")) costs.models.push_back(model_of(row));
    return costs;
  } catch (const std::exception& error) {
    throw Error(concat(file.string(), ": ", error.what(),
                       "; write it with `metascale bench context --json`"),
                ExitCode::bad_input);
  }
}

}  // namespace metascale
