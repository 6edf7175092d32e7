// What no single key of config.yaml shows.
#pragma once

#include "experiments/config.hpp"

namespace metascale {

// Throws Error{usage} with file:line: key, as the reader of the keys does. root: what run was read
// from.
void check_run(const YamlNode& root, const RunConfig& run);

}  // namespace metascale
