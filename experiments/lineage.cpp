#include "experiments/lineage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "experiments/plan.hpp"

namespace metascale {
namespace {

double flops_per_token(const RunConfig& run, std::size_t generation) {
  return count_model(model_of_generation(run, generation), run.training.context).flops_per_token;
}

}  // namespace

ModelConfig model_of_generation(const RunConfig& run, std::size_t i) {
  ModelConfig model = run.model;
  if (i >= run.lineage.size()) return model;
  const Ancestor& ancestor = run.lineage[i];
  model.layers = ancestor.layers;
  model.heads = ancestor.heads;
  model.feed_forward = ancestor.feed_forward;
  model.rank_decay = ancestor.rank_decay;
  model.rank_rate = ancestor.rank_rate;
  model.rank_value = ancestor.rank_value;
  model.rank_gate = ancestor.rank_gate;
  return model;
}

Ancestor ancestor_of(const RunConfig& run, std::int64_t step,
                     const std::vector<std::int64_t>& insert_after) {
  const ModelConfig& model = run.model;
  return {.run = run.id,
          .step = step,
          .layers = model.layers,
          .heads = model.heads,
          .feed_forward = model.feed_forward,
          .rank_decay = model.rank_decay,
          .rank_rate = model.rank_rate,
          .rank_value = model.rank_value,
          .rank_gate = model.rank_gate,
          .insert_after = insert_after};
}

bool grows_from_parent(const RunConfig& run) {
  return !run.lineage.empty() && run.lineage.back().run == run.parent.run &&
         run.lineage.back().step == run.parent.step;
}

LineageFlops::LineageFlops(const RunConfig& run) {
  for (std::size_t i = 0; i < run.lineage.size(); ++i)
    generations_.push_back(
        {double(run.lineage[i].step) * double(run.training.batch_tokens), flops_per_token(run, i)});
  generations_.push_back(
      {std::numeric_limits<double>::infinity(), flops_per_token(run, run.lineage.size())});
}

double LineageFlops::operator()(double tokens) const {
  double flops = 0, counted = 0;  // tokens
  for (const Generation& generation : generations_) {
    const double end = std::min(tokens, generation.end);
    flops += (end - counted) * generation.flops_per_token;
    counted = end;
  }
  return flops;
}

double lineage_flops(const RunConfig& run, double tokens) { return LineageFlops(run)(tokens); }

std::map<std::string, std::string> lineage_facts(const RunConfig& run) {
  if (run.lineage.empty()) return {};
  std::string names;
  for (const Ancestor& ancestor : run.lineage)
    names += fmt::format("{} to step {}, ", ancestor.run, ancestor.step);
  const double tokens = double(run.lineage.back().step) * double(run.training.batch_tokens);
  return {{"parent", run.parent.run},
          {"parent_step", fmt::format("{}", run.parent.step)},
          {"lineage", names + run.id},
          {"lineage_tokens", fmt::format("{}", tokens)},
          {"lineage_flops", fmt::format("{}", lineage_flops(run, tokens))}};
}

}  // namespace metascale
