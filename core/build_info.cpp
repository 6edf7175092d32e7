#include "core/build_info.hpp"

#include <fmt/core.h>
#include <spdlog/version.h>
#include <xxhash.h>

#include <hdf5.h>

#include <nlohmann/json.hpp>

#include "core/commit.hpp"

namespace metascale {
namespace {

// As loaded, which may differ from what was there at the build.
std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  if (H5get_libversion(&major, &minor, &release) < 0) return "unknown";
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string dotted(unsigned version) {  // 10203 is 1.2.3
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace

std::map<std::string, std::string> build_info() {
  return {{"version", METASCALE_VERSION},
          {"commit", built_commit},
          {"compiler", __VERSION__},
          {"build_type", METASCALE_BUILD_TYPE},
          {"hdf5", hdf5_version()},
          {"yaml-cpp", METASCALE_YAML_CPP_VERSION},
          {"zstd", METASCALE_ZSTD_VERSION},
          {"nlohmann_json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                        NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
          {"fmt", dotted(FMT_VERSION)},
          {"spdlog", dotted(SPDLOG_VERSION)},
          {"xxhash", dotted(XXH_versionNumber())}};
}

}  // namespace metascale
