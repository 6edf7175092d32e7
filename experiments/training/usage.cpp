#include "experiments/training/usage.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "core/yaml.hpp"

namespace metascale {

std::optional<double> joules_between(const Usage& begin, const Usage& now) {
  const double joules = now.joules - begin.joules;
  return std::isfinite(joules) ? std::optional(joules) : std::nullopt;
}

std::size_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::size_t(usage.ru_maxrss) * 1024;  // Linux counts KiB
}

double resident_bytes() {
  malloc_trim(0);  // what was freed is not held
  std::ifstream file("/proc/self/statm");
  double whole = 0, resident = 0, of_files = 0;  // pages; the last: code, which comes in at its use
  file >> whole >> resident >> of_files;
  return (resident - of_files) * double(::sysconf(_SC_PAGESIZE));
}

std::map<std::string, std::string> usage_facts(const std::map<std::string, std::string>& before,
                                               bool first, const Usage& begin, const Usage& now) {
  const auto number = [&](const char* key) {
    const auto found = before.find(key);
    return found == before.end() ? std::nullopt : parse_number(found->second);
  };
  const double peak = std::max(double(now.peak_bytes), number("peak_memory_bytes").value_or(0));
  std::map<std::string, std::string> facts{{"peak_memory_bytes", fmt::format("{:.0f}", peak)}};
  if (now.before_bytes > 0) facts["memory_before_bytes"] = fmt::format("{}", now.before_bytes);
  const double earlier = number("energy_joules").value_or(first ? 0 : std::nan(""));
  const double joules = earlier + now.joules - begin.joules;
  if (std::isfinite(joules) || before.contains("energy_joules"))
    facts["energy_joules"] = fmt::format("{}", joules);
  return facts;
}

}  // namespace metascale
