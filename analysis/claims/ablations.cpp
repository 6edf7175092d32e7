// Which settings of the Meta-State layer differ from the layer as published, by a run's log.
#include <fmt/format.h>

#include <cmath>

#include "analysis/claims/parts.hpp"
#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

// Of the configuration's model; NaN where it does not say.
double model_number(const Run& run, const char* key) {
  try {
    const YamlNode root = parse_yaml(run.log.configuration, run.id);
    const YamlNode* model = root.find("model");
    const YamlNode* value = model == nullptr ? nullptr : model->find(key);
    return value == nullptr ? std::nan("") : read_number(*value, -1e30, 1e30);
  } catch (const Error&) {  // a log that cannot be read so is judged as before
    return std::nan("");
  }
}

}  // namespace

std::vector<std::string> ablations_of(const Run& run) {
  std::vector<std::string> found;
  if (const auto state = run.fact("read_state"); state && *state != "previous" && *state != "none")
    found.push_back("read_state " + *state);
  for (const char* key : {"rho", "gamma_init"})
    if (const double value = model_number(run, key); std::isfinite(value) && value != 1)
      found.push_back(fmt::format("{} {}", key, value));
  return found;
}

}  // namespace metascale
