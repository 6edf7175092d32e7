#include "analysis/lineage.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace metascale {
namespace {

bool takes_part(const Run& run) {
  return run.is_compared() && !run.is_probe() && run.state == RunState::done &&
         std::isfinite(run.final_loss());
}

// From the oldest ancestor of the folder to the run itself.
std::vector<const Run*> chain_of(const Report& report, const Run& grown) {
  std::vector<const Run*> chain{&grown};
  for (bool found = true; found && !chain.back()->parent.empty();) {
    found = false;
    for (const Run& run : report.collection.runs)
      if (run.id == chain.back()->parent &&
          std::find(chain.begin(), chain.end(), &run) == chain.end()) {
        chain.push_back(&run), found = true;
        break;
      }
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

// Whether a child that left there left the run at its end, where its final loss was measured.
bool ended_at(const Run& run, const Run& child) {
  return takes_part(run) && run.steps == child.inherited.step;
}

void add(LineagePoint& point, const Run& run) {
  const double loss = run.final_loss(), count = double(point.runs.size());
  if (point.runs.empty()) point = {run.arm, run.size, 0, 0, loss, loss, {}};
  point.flops = (point.flops * count + run.flops) / (count + 1);
  point.loss = (point.loss * count + loss) / (count + 1);
  point.low = std::min(point.low, loss), point.high = std::max(point.high, loss);
  point.runs.push_back(&run);
}

void add_scratch(const Report& report, const Run& grown, Lineage& lineage) {
  for (const Run& run : report.collection.runs) {
    if (!takes_part(run) || run.fact("scratch_partner_of") != grown.id) continue;
    const ScratchCompute compute = scratch_compute_of(run);
    const auto found =
        std::find_if(lineage.scratch.begin(), lineage.scratch.end(), [&](const ScratchPoint& one) {
          return one.compute == compute && one.point.arm == run.arm && one.point.size == run.size;
        });
    if (found != lineage.scratch.end())
      add(found->point, run);
    else
      add(lineage.scratch.emplace_back(ScratchPoint{compute, {}}).point, run);
  }
}

// The stages of one seed's chain, each into that of its arm and size.
void add_chain(const Report& report, const std::vector<const Run*>& chain, Lineage& lineage) {
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const Run& run = *chain[i];
    if (i + 1 < chain.size() && !ended_at(run, *chain[i + 1])) continue;
    const auto found = std::find_if(
        lineage.stages.begin(), lineage.stages.end(),
        [&](const LineagePoint& one) { return one.arm == run.arm && one.size == run.size; });
    add(found != lineage.stages.end() ? *found : lineage.stages.emplace_back(), run);
    if (is_grown(run)) add_scratch(report, run, lineage);
  }
}

Lineage& lineage_of(std::vector<Lineage>& all, const Run& grown) {
  for (Lineage& lineage : all)
    if (std::tie(lineage.arm, lineage.size, lineage.length) ==
        std::tie(grown.arm, grown.size, grown.length))
      return lineage;
  return all.emplace_back(Lineage{grown.arm, grown.size, grown.length, {}, {}});
}

}  // namespace

const char* role_of(const ScratchPoint& scratch) {
  return scratch.compute == ScratchCompute::total ? "from scratch, equal total compute"
                                                  : "from scratch, equal additional compute";
}

std::vector<Lineage> lineages(const Report& report) {
  std::vector<Lineage> all;
  const auto& runs = report.collection.runs;
  for (const Run& grown : runs) {
    if (!takes_part(grown) || !is_grown(grown)) continue;
    const bool went_on = std::any_of(runs.begin(), runs.end(), [&](const Run& run) {
      return takes_part(run) && is_grown(run) && run.parent == grown.id;
    });
    if (!went_on) add_chain(report, chain_of(report, grown), lineage_of(all, grown));
  }
  for (Lineage& lineage : all)
    std::sort(lineage.stages.begin(), lineage.stages.end(),
              [](const LineagePoint& a, const LineagePoint& b) { return a.flops < b.flops; });
  return all;
}

}  // namespace metascale
