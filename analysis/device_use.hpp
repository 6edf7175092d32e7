// What a run's starts used, by attempts/0001/attempt.json of its folder [docs/slurm.md, "State"].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace metascale {

struct DeviceUse {
  std::int64_t attempts = 0;  // with a readable attempt.json
  std::int64_t damaged = 0;   // without one: what they used is not known
  double gpu_hours = 0, core_hours = 0;
  std::optional<double> joules;  // only if every attempt has them
};

// Nothing where no attempt is logged.
std::optional<DeviceUse> read_device_use(const std::filesystem::path& run_folder);

// Of sweep.yaml's budget, in no currency in particular.
struct DevicePrices {
  std::optional<double> gpu_hour, core_hour;
};
DevicePrices read_prices(const std::filesystem::path& results);

// Of plan.csv, by run id: hours of a run's own steps, where the plan knew them
// [docs/sweep-file.md]. Throws Error{bad_input} naming file:line where it is no such table.
std::map<std::string, double> read_planned_hours(const std::filesystem::path& results);

}  // namespace metascale
