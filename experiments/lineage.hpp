// What a grown run inherits: the models before it and their compute.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/config.hpp"

namespace metascale {

// The model that ancestor i was; i == lineage.size(): the run's own.
ModelConfig model_of_generation(const RunConfig& run, std::size_t i);
// What the lineage of a child of this run, grown from its checkpoint at `step`, ends with.
Ancestor ancestor_of(const RunConfig& run, std::int64_t step,
                     const std::vector<std::int64_t>& insert_after);

// Whether the run begins by growing its parent's checkpoint.
bool grows_from_parent(const RunConfig& run);

// Model FLOPs that made the parameters after `tokens` tokens of the lineage, the ancestors'
// included.
class LineageFlops {
 public:
  explicit LineageFlops(const RunConfig& run);
  double operator()(double tokens) const;

 private:
  struct Generation {
    double end;  // tokens of the lineage; of the last one: no end
    double flops_per_token;
  };
  std::vector<Generation> generations_;
};
double lineage_flops(const RunConfig& run, double tokens);  // the same, asked once

// Facts of the log: parent, lineage, its tokens and FLOPs. Empty: it never grew.
std::map<std::string, std::string> lineage_facts(const RunConfig& run);

}  // namespace metascale
