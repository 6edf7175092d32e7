// What is asked to grow, and the model that comes of it [docs/growth.md].
#pragma once

#include <string>
#include <vector>

#include "experiments/config.hpp"

namespace metascale {

// "2x" (a factor) or "16" (the new extent); neither: as it is.
struct GrowthExtent {
  double factor = 0;
  std::int64_t extent = 0;
  bool exists() const { return factor > 0 || extent > 0; }
};
// Throws Error{usage} naming `what`.
GrowthExtent parse_growth_extent(const std::string& text, const std::string& what);

struct GrowthRequest {
  GrowthExtent parameter_tokens;  // P; of a Transformer its feed-forward width
  GrowthExtent heads;      // H: WKV state, and by rho the heads that are read; or attention heads
  GrowthExtent low_ranks;  // a factor; recurrent models
  GrowthExtent layers;     // L
  bool empty() const;
};

// Throws Error{usage} where nothing grows, something would shrink, or the model has no such extent.
ModelConfig grown_model(const ModelConfig& model, const GrowthRequest& request);

// Behind which of `layers` blocks each of `added` new ones goes, when nobody says: evenly spread.
// Never before block 0, where ln0 and v_first live.
std::vector<std::int64_t> even_insertion(std::int64_t layers, std::int64_t added);

}  // namespace metascale
