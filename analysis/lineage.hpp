// Loss along the compute of models that grew: each ancestor where its child left it, the grown
// model at its end, and the models from scratch beside it.
#pragma once

#include <string>
#include <vector>

#include "analysis/match.hpp"
#include "analysis/report.hpp"

namespace metascale {

// Runs of one arm and size, one per seed.
struct LineagePoint {
  std::string arm, size;
  double flops = 0;          // of the whole lineage, mean
  double loss = 0;           // final, nats per token, mean
  double low = 0, high = 0;  // the least and the most of the seeds
  std::vector<const Run*> runs;
};

struct ScratchPoint {
  ScratchCompute compute = ScratchCompute::total;  // what is equal
  LineagePoint point;
};

const char* role_of(const ScratchPoint& scratch);  // for people

// The lineages of one arm that end at one size and length, over seeds.
struct Lineage {
  std::string arm, size, length;
  std::vector<LineagePoint> stages;   // oldest first, the grown model last
  std::vector<ScratchPoint> scratch;  // beside any of the stages
};

// Of grown runs that are done and that no done run grew out of. A stage that a seed's child left
// before its end has no final loss there and is left out.
std::vector<Lineage> lineages(const Report& report);

}  // namespace metascale
