// What is in a model: its tensors in numbers, and how two of them differ.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/stored_model.hpp"

namespace metascale {

inline constexpr int histogram_bins =
    16;  // over [-4, 4] root mean squares; the outer bins hold the rest

struct TensorSummary {
  std::string name;
  Shape shape;  // of a group: of none
  std::int64_t tensors = 1, elements = 0;
  double norm = 0, mean = 0, rms = 0, least = 0, most = 0;
  std::vector<std::int64_t> histogram;
};

struct ModelSummary {
  std::vector<TensorSummary> groups;   // "blocks.*.att.key.weight": that tensor of all blocks
  std::vector<TensorSummary> tensors;  // in the model's order
  TensorSummary all;
};
ModelSummary summarise(const LoadedModel& model);

struct TensorDifference {
  std::string name;
  std::string other_name;  // in the second, where that is another: blocks move when some go between
  std::string shapes;   // where they differ: "(4, 2) and (8, 2)"; "only in the first"; empty: equal
  double relative = 0;  // |a - b| / |a|, over the elements that both have
  std::int64_t changed = 0;  // elements that are not equal, of those
};
// What the tensors of a run are called in its ancestor, before blocks went in between; empty: they
// are new since. No names at all where it is no ancestor.
std::map<std::string, std::string> names_in_ancestor(const RunConfig& run,
                                                     const RunConfig& ancestor);
// Of tensors that both have, also where one is the leading block of the other; first those that are
// not equal. names_in_a: of b's tensors; the same where it does not say.
std::vector<TensorDifference> differences(
    const LoadedModel& a, const LoadedModel& b,
    const std::map<std::string, std::string>& names_in_a = {});

}  // namespace metascale
