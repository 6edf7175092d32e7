#include "experiments/training/environment.hpp"

#include <sys/utsname.h>

#include <fstream>

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "kernels/instructions.hpp"

namespace metascale {
namespace {

// As Linux names it on x86 ("model name"); other processors have no name there.
std::string name_of_processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    return begin == std::string::npos ? "unknown" : line.substr(begin);
  }
  return "unknown";
}

}  // namespace

std::map<std::string, std::string> environment_of_run(std::int64_t threads) {
  auto words = build_info();
  utsname system{};
  const bool is_known = ::uname(&system) == 0;
  words["host"] = is_known ? system.nodename : "unknown";
  words["kernel"] = is_known ? concat(system.sysname, " ", system.release) : "unknown";
  words["cpu"] = name_of_processor();
  words["threads"] = std::to_string(threads);
  words["onednn"] = onednn_version();
  return words;
}

}  // namespace metascale
