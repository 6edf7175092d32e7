// Matching: the one free dimension of a model, its feed-forward width, is solved so that all arms
// of a size agree on the matched quantity.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/config.hpp"

namespace metascale {

enum class MatchOn { parameters, non_embedding_parameters, flops_per_token, training_flops };
const char* name_of(MatchOn on);

inline constexpr double most_match_tolerance = 0.5;  // that a sweep may ask for

struct MatchRequest {
  MatchOn on = MatchOn::parameters;
  double target = 0;  // in units of `on`; of training_flops: per token, since all arms see the same
  double tolerance = 0.005;  // of target: for every arm, and within every pair
  // Granularity of the solved width; 0: the largest of 64, 32 .. 1 that fits.
  std::int64_t step = 0;
  std::int64_t context = 0;
};

struct MatchArm {
  std::string name;
  ModelConfig model;  // feed_forward is solved where it is 0, kept where it is given
};

struct MatchResult {
  std::int64_t step = 0;            // the granularity used
  std::vector<ModelConfig> models;  // with feed_forward set, in the order of the arms
  std::vector<double> values;       // of the matched quantity
};

// The matched quantity of a model.
double matched_value(const ModelConfig& model, MatchOn on, std::int64_t context);

// Arms that differ in what is read from the state only (rwkv7, meta_state) get one width for all
// where the tolerance allows it: the first arm's, if it is one of them and has one. Throws
// Error{usage} without a place: which arm or pair cannot be matched, the nearest possible, and the
// tolerance or target that would do.
MatchResult match_arms(const std::vector<MatchArm>& arms, const MatchRequest& request);

}  // namespace metascale
