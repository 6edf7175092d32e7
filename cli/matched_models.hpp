// The models that the benches compare.
#pragma once

#include <vector>

#include "experiments/config.hpp"

namespace metascale {

// One per architecture, all with the number of parameters that a Transformer of this shape has, as
// nearly as their widths allow.
std::vector<ModelConfig> matched_models(const ModelConfig& transformer, std::int64_t context);

}  // namespace metascale
