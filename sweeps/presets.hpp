// Presets that the program carries inside itself (experiments/presets/*.yaml, embedded when it is
// built).
#pragma once

#include <string>
#include <vector>

#include "sweeps/definition.hpp"

namespace metascale {

const std::vector<SizeDefinition>& size_presets();

// AdamW's settings of an architecture; target: the size's, in parameters.
// Throws Error{usage} where the preset has no row that large.
OptimizerConfig optimizer_preset(Architecture architecture, double target);

}  // namespace metascale
