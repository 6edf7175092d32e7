// A run's history and configuration as Weights & Biases names them: _step, _timestamp, _runtime.
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/export.hpp"
#include "analysis/exports/scalars.hpp"

namespace metascale {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no such numbers; histories spell them as strings.
Json spelled(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::string line_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string wandb_history(const RunLog& log) {
  std::string text;
  each_scalar_row(log, [&](const ScalarRow& row) {
    Json json{{"_step", row.step}, {"_timestamp", row.time}, {"_runtime", row.runtime}};
    for (const auto& [name, value] : row.values) json[name] = spelled(value);
    text += line_of(json);
  });
  return text;
}

std::string wandb_config(const RunLog& log) {
  Json config{{"run_id", log.run_id}, {"facts", log.facts}, {"environment", log.environment}};
  config["configuration"] = log.configuration;
  return line_of(config);
}

}  // namespace metascale
