#include "core/build_info.hpp"

namespace metascale {

std::map<std::string, std::string> build_info() {
  return {{"version", METASCALE_VERSION},
          {"commit", METASCALE_COMMIT},
          {"compiler", __VERSION__},
          {"build_type", METASCALE_BUILD_TYPE}};
}

}  // namespace metascale
