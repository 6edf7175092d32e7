// metascale show: what is in a model; how two of them differ.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "experiments/inspection.hpp"
#include "experiments/lineage.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct ShowVerb {
  std::vector<std::filesystem::path> checkpoints;
  bool json = false, all = false;
};

Dtype dtype_of_run(const StoredModel& stored) {
  return stored.run.training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32;
}

// One character for each bin of a histogram, by the logarithm of its share.
std::string sparks(const TensorSummary& summary) {
  static constexpr char levels[] = " .:-=+*#@";
  std::string line;
  for (const std::int64_t count : summary.histogram) {
    const double share = double(count) / double(std::max<std::int64_t>(1, summary.elements));
    const double level = share > 0 ? 8 + std::log2(share) : 0;  // @: more than half
    line += levels[std::size_t(std::clamp(level, share > 0 ? 1.0 : 0.0, 8.0))];
  }
  return line;
}

json to_json(const TensorSummary& summary) {
  json words{{"name", summary.name}, {"elements", summary.elements},
             {"norm", summary.norm}, {"mean", summary.mean},
             {"rms", summary.rms},   {"least", summary.least},
             {"most", summary.most}, {"histogram", summary.histogram}};
  if (summary.shape.rank) {
    for (int axis = 0; axis < summary.shape.rank; ++axis)
      words["shape"].push_back(summary.shape[axis]);
  } else {
    words["tensors"] = summary.tensors;
  }
  return words;
}

json head_of(const StoredModel& stored) {
  const auto counts = count_model(stored.run.model, stored.run.training.context);
  json lineage = json::array();
  for (std::size_t i = 0; i < stored.run.lineage.size(); ++i) {
    const ModelConfig model = model_of_generation(stored.run, i);
    lineage.push_back({{"run", stored.run.lineage[i].run},
                       {"step", stored.run.lineage[i].step},
                       {"parameters", count_model(model, stored.run.training.context).parameters}});
  }
  return {{"run", stored.run.id},
          {"step", stored.step},
          {"tokens", stored.tokens},
          {"flops", lineage_flops(stored.run, double(stored.tokens))},
          {"architecture", name_of(stored.run.model.architecture)},
          {"layers", stored.run.model.layers},
          {"width", stored.run.model.width},
          {"heads", head_count(stored.run.model)},
          {"head_size", stored.run.model.head_size},
          {"feed_forward", stored.run.model.feed_forward},
          {"vocabulary", stored.run.model.vocabulary},
          {"parameters", counts.parameters},
          {"non_embedding_parameters", counts.non_embedding_parameters},
          {"parent", stored.run.parent.run},
          {"lineage", lineage}};
}

void print_head(const StoredModel& stored) {
  const auto& model = stored.run.model;
  const auto counts = count_model(model, stored.run.training.context);
  fmt::print(
      "{} at step {}\n{}: {} layers, width {}, {} heads of {}, feed-forward {}, vocabulary {}\n",
      stored.run.id, stored.step, name_of(model.architecture), model.layers, model.width,
      head_count(model), model.head_size, model.feed_forward, model.vocabulary);
  fmt::print("{} parameters, {} of them not embedding or head\n", counts.parameters,
             counts.non_embedding_parameters);
  fmt::print("trained on {} tokens, {:.3g} FLOPs\n", stored.tokens,
             lineage_flops(stored.run, double(stored.tokens)));
  for (std::size_t i = 0; i < stored.run.lineage.size(); ++i)
    fmt::print(
        "grown from {} at step {} ({} parameters)\n", for_stdout(stored.run.lineage[i].run),
        stored.run.lineage[i].step,
        count_model(model_of_generation(stored.run, i), stored.run.training.context).parameters);
  if (stored.run.lineage.empty() && !stored.run.parent.run.empty())
    fmt::print("branch of {} at step {}\n", for_stdout(stored.run.parent.run),
               stored.run.parent.step);
}

void print_table(const std::vector<TensorSummary>& rows) {
  std::size_t width = 10;
  for (const TensorSummary& row : rows) width = std::max(width, row.name.size());
  fmt::print("\n{:<{}} {:>7} {:>12} {:>10} {:>10} {:>10} {:>10}  {}\n", "tensors", width, "count",
             "elements", "norm", "rms", "least", "most", "-4 rms .. 4 rms");
  for (const TensorSummary& row : rows)
    fmt::print("{:<{}} {:>7} {:>12} {:>10.4g} {:>10.4g} {:>10.4g} {:>10.4g} |{}|\n",
               for_stdout(row.name), width, row.tensors, row.elements, row.norm, row.rms, row.least,
               row.most, sparks(row));
}

ExitCode show_one(const StoredModel& stored, const ShowVerb& verb) {
  const ModelSummary summary = summarise(load_model(stored, dtype_of_run(stored)));
  if (verb.json) {
    json words = head_of(stored);
    for (const auto& group : summary.groups) words["groups"].push_back(to_json(group));
    for (const auto& tensor : summary.tensors) words["tensors"].push_back(to_json(tensor));
    fmt::print("{}\n", words.dump(2));
    return ExitCode::good;
  }
  print_head(stored);
  std::vector<TensorSummary> rows = verb.all ? summary.tensors : summary.groups;
  rows.push_back(summary.all);
  print_table(rows);
  return ExitCode::good;
}

ExitCode show_two(const StoredModel& first, const StoredModel& second, const ShowVerb& verb) {
  const auto found = differences(load_model(first, Dtype::f64), load_model(second, Dtype::f64),
                                 names_in_ancestor(second.run, first.run));
  json words{{"first", head_of(first)}, {"second", head_of(second)}, {"tensors", json::array()}};
  std::int64_t equal = 0;
  std::size_t width = 10;
  const auto label = [](const TensorDifference& row) {
    return row.other_name.empty() ? row.name : row.name + " -> " + row.other_name;
  };
  for (const auto& row : found) width = std::max(width, label(row).size());
  if (!verb.json) {
    print_head(first);
    fmt::print("\n");
    print_head(second);
    fmt::print("\n{:<{}} {:>12} {:>12}  {}\n", "tensor", width, "|a-b|/|a|", "not equal", "shapes");
  }
  for (const auto& row : found) {
    words["tensors"].push_back({{"name", row.name},
                                {"relative_difference", row.relative},
                                {"changed", row.changed},
                                {"shapes", row.shapes}});
    if (!row.other_name.empty()) words["tensors"].back()["name_in_second"] = row.other_name;
    const bool same = row.shapes.empty() && row.changed == 0;
    equal += same;
    if (!verb.json && !same)
      fmt::print("{:<{}} {:>12.4g} {:>12}  {}\n", label(row), width, row.relative, row.changed,
                 row.shapes);
  }
  if (verb.json)
    fmt::print("{}\n", words.dump(2));
  else
    fmt::print("{} of {} tensors are equal\n", equal, found.size());
  return ExitCode::good;
}

ExitCode run_show(const ShowVerb& verb) {
  const StoredModel first = find_model(verb.checkpoints[0]);
  return verb.checkpoints.size() == 1 ? show_one(first, verb)
                                      : show_two(first, find_model(verb.checkpoints[1]), verb);
}

}  // namespace

void add_show_verb(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ShowVerb>();
  CLI::App* verb =
      add_verb(app, action, "show",
               "what is in a model: groups, norms, histograms, lineage; of two: what differs",
               "metascale show results/quick/runs/my-run", options, run_show);
  verb->add_option("checkpoint", options->checkpoints,
                   "run folder, or one of its checkpoints/step-N; one or two")
      ->required()
      ->expected(1, 2);
  verb->add_flag("--all", options->all, "every tensor, not only groups");
  verb->add_flag("--json", options->json, "for machines");
}

}  // namespace metascale
