#include "cli/matched_models.hpp"

#include "experiments/matching.hpp"

namespace metascale {

std::vector<ModelConfig> matched_models(const ModelConfig& transformer, std::int64_t context) {
  std::vector<MatchArm> arms;
  for (const Architecture architecture : {Architecture::transformer, Architecture::transformer_pp,
                                          Architecture::rwkv7, Architecture::meta_state}) {
    ModelConfig model = transformer;
    model.architecture = architecture;
    if (architecture != Architecture::transformer) model.feed_forward = 0;
    arms.push_back({.name = name_of(architecture), .model = model});
  }
  MatchRequest request{.on = MatchOn::parameters, .tolerance = 0.02, .context = context};
  request.target = matched_value(arms[0].model, request.on, request.context);
  return match_arms(arms, request).models;
}

}  // namespace metascale
