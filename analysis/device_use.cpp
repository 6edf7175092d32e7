#include "analysis/device_use.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "analysis/support/csv.hpp"
#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/json_text.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

void add_attempt(DeviceUse& use, bool& all_joules, double& joules, const fs::path& path) {
  try {
    const auto file = parse_json(read_file(path, 1 << 20, Links::refuse));
    const double started = file.at("started"), seen = file.at("seen");
    const double cores = file.at("cores"), gpus = file.at("gpus");
    const double hours = std::max(0.0, seen - started) / 3600;
    const bool has_joules = file.contains("joules");
    const double own = has_joules ? file.at("joules").get<double>() : 0;
    // Bounded, so that no sum of them is infinite.
    const auto is_in = [](double value, double most) { return value >= 0 && value <= most; };
    if (!is_in(hours, 1e8) || !is_in(cores, 1e9) || !is_in(gpus, 1e9) || !is_in(own, 1e18))
      throw Error(concat(path.string(), ": no numbers of devices"), ExitCode::bad_input);
    use.gpu_hours += gpus * hours, use.core_hours += cores * hours;
    joules += own;
    all_joules = all_joules && has_joules;
    ++use.attempts;
  } catch (const std::exception&) {
    ++use.damaged;  // the table says so
  }
}

std::optional<double> price(const YamlNode& budget, const char* key) {
  const YamlNode* node = budget.find(key);
  if (node == nullptr) return std::nullopt;
  return read_number(*node, 0, 1e12);
}

}  // namespace

std::optional<DeviceUse> read_device_use(const fs::path& run_folder) {
  DeviceUse use;
  bool all_joules = true;
  double joules = 0;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(run_folder / "attempts", problem))
    if (entry.is_directory()) add_attempt(use, all_joules, joules, entry.path() / "attempt.json");
  if (use.attempts + use.damaged == 0) return std::nullopt;
  if (all_joules && use.damaged == 0) use.joules = joules;
  return use;
}

DevicePrices read_prices(const fs::path& results) {
  if (!fs::exists(results / "sweep.yaml")) return {};
  const YamlNode sweep = read_yaml(results / "sweep.yaml");
  const YamlNode* budget = sweep.find("budget");
  if (budget == nullptr) return {};
  return {price(*budget, "price_per_gpu_hour"), price(*budget, "price_per_core_hour")};
}

std::map<std::string, double> read_planned_hours(const fs::path& results) {
  std::map<std::string, double> hours;
  if (!fs::exists(results / "plan.csv")) return hours;
  const Csv plan = read_csv(results / "plan.csv");
  if (std::find(plan.columns.begin(), plan.columns.end(), "hours") == plan.columns.end())
    return hours;  // older ones had none
  const std::size_t id = plan.column("id"), column = plan.column("hours");
  for (const CsvRow& row : plan.rows) {
    if (row.cells[column].empty()) continue;
    const auto value = parse_number(row.cells[column]);
    if (!value || !std::isfinite(*value) || *value < 0)
      throw Error(
          fmt::format("{}:{}: '{}' is no number of hours; metascale run writes the plan anew",
                      plan.file, row.line, row.cells[column]),
          ExitCode::bad_input);
    hours[row.cells[id]] = *value;
  }
  return hours;
}

}  // namespace metascale
