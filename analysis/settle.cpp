// What a run is among the others: its place, its trunk, its doubles.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <sstream>
#include <tuple>

#include "analysis/collect.hpp"
#include "core/error.hpp"
#include "core/yaml.hpp"

namespace metascale {
namespace {

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) {
    part.erase(0, part.find_first_not_of(' '));
    part.erase(part.find_last_not_of(' ') + 1);
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

void settle_arms(Collection& collection) {
  for (const Run& run : collection.runs) {
    if (const auto arms = run.fact("arms"); arms && collection.arms.empty())
      collection.arms = split_at_commas(*arms);
    if (collection.sweep.empty()) collection.sweep = run.fact("sweep").value_or("");
  }
  for (const Run& run : collection.runs)  // an arm that the list does not know comes last
    if (!run.arm.empty() &&
        std::find(collection.arms.begin(), collection.arms.end(), run.arm) == collection.arms.end())
      collection.arms.push_back(run.arm);
  for (const Run& run : collection.runs)
    if (const auto baseline = run.fact("baseline_arm")) {
      const auto found = std::find(collection.arms.begin(), collection.arms.end(), *baseline);
      if (found != collection.arms.end()) std::rotate(collection.arms.begin(), found, found + 1);
      break;
    }
}

void sort_runs(Collection& collection) {
  const auto place = [&](const Run& run) {
    const auto arm = std::find(collection.arms.begin(), collection.arms.end(), run.arm);
    return std::tuple(arm - collection.arms.begin(), run.number("parameters").value_or(0),
                      run.number("tokens_planned").value_or(0), run.seed, run.id);
  };
  std::stable_sort(collection.runs.begin(), collection.runs.end(),
                   [&](const Run& a, const Run& b) { return place(a) < place(b); });
}

struct Parent {
  std::string run;
  std::int64_t step = 0;  // 0: none
};

Parent parent_of(const Run& run) {
  const auto name = run.fact("parent");  // of grown runs
  const auto step = run.number("parent_step");
  if (name && step) return {*name, std::int64_t(*step)};
  try {
    const YamlNode root = parse_yaml(run.log.configuration, run.id);
    const YamlNode* parent = root.find("parent");
    if (parent == nullptr) return {};
    const YamlNode *name = parent->find("run"), *step = parent->find("step");
    if (name == nullptr || step == nullptr || read_string(*name).empty()) return {};
    return {read_string(*name), read_integer(*step)};
  } catch (const Error&) {
    return {};  // the configuration is only shown: a report does not fail by it
  }
}

// Where the parent stood at that step: trunks keep every step, others those of their curve.
std::optional<CurvePoint> parent_point(const Collection& collection, const Parent& parent) {
  for (const Run& run : collection.runs) {
    if (run.id != parent.run) continue;
    for (const CurvePoint& point : run.trunk.empty() ? run.curve : run.trunk)
      if (point.step == parent.step) return point;
    if (parent.step == run.steps) return CurvePoint{run.steps, run.tokens, run.flops, run.hours};
  }
  return std::nullopt;
}

// The FLOPs and tokens of a branch's or grown run's log count from step 0 of its lineage; its
// seconds do not.
void add_trunk(Collection& collection, Run& run) {
  if (run.inherited.step > 0) return;
  const Parent parent = parent_of(run);
  if (parent.step == 0) return;
  run.parent = parent.run;
  if (const auto point = parent_point(collection, parent)) {
    run.inherited = *point;
  } else {
    run.inherited.step = parent.step;
    run.inherited.hours = std::numeric_limits<double>::quiet_NaN();
    run.inherited.flops = run.number("lineage_flops").value_or(0);
    collection.notes.push_back(concat("The hours of ", run.id, " are unknown: its parent ",
                                      parent.run, " has no step ", parent.step, " here."));
  }
  run.hours += run.inherited.hours;
  for (std::vector<CurvePoint>* points : {&run.curve, &run.trend})
    for (CurvePoint& point : *points) point.hours += run.inherited.hours;
}

void leave_out_ambiguous(Collection& collection) {
  std::map<std::tuple<std::string, std::string, std::string, std::int64_t>, std::vector<Run*>> same;
  for (Run& run : collection.runs)
    if (run.state == RunState::done && run.is_compared())
      same[{run.arm, run.size, run.length, run.seed}].push_back(&run);
  for (const auto& [what, runs] : same)
    if (runs.size() > 1)
      for (std::size_t i = 0; i < runs.size(); ++i)
        runs[i]->left_out =
            concat(runs[i == 0 ? 1 : 0]->id,
                   " is also a done run of its arm, size, length and seed, and nothing says which "
                   "counts; move one out of the folder");
}

}  // namespace

void settle(Collection& collection) {
  settle_arms(collection);
  sort_runs(collection);
  for (const Run& run : collection.runs)
    if (run.doubled_rate) collection.unpublished.insert(run.arm);
  for (Run& run : collection.runs) add_trunk(collection, run);
  leave_out_ambiguous(collection);
}

}  // namespace metascale
