#include "sweeps/resolve/grown.hpp"

#include <fmt/format.h>

#include "experiments/lineage.hpp"

namespace metascale::resolving {
namespace {

// What pairs of grown and from-scratch runs agree on: their steps and tokens differ by nature.
constexpr const char* grown_identical =
    "data_order tokenizer context batch_tokens precision evaluation";

std::string label_of(const Definition& definition, const GrowthDefinition& growth) {
  return fmt::format("{}-{}-{}-s{}", definition.arms[growth.arm].name, growth.size, growth.length,
                     growth.seed);
}

const CellRun& parent_of(const Definition& definition, const GrowthDefinition& growth,
                         const std::vector<CellRun>& runs) {
  for (const CellRun& run : runs)
    if (run.config.role == Role::run && run.config.arm == definition.arms[growth.arm].name &&
        run.config.size == growth.size && run.config.length == growth.length &&
        run.config.seed == growth.seed)
      return run;
  throw error_at(
      growth.place, fmt::format("there is no run {} to grow from", label_of(definition, growth)),
      "name arm, size, length and seed of a run of the axes, or of an include above this one");
}

void expect_same_options(const Definition& definition, const IncludeDefinition& include) {
  const ArmDefinition &arm = definition.arms[include.cell.arm],
                      &parent = definition.arms[include.growth->arm];
  if (!(arm.model == parent.model) || arm.head_size != parent.head_size ||
      arm.heads != parent.heads)
    throw error_at(include.place,
                   fmt::format("arm '{}' is another model than '{}', which it is to grow from",
                               arm.name, parent.name),
                   "give both the same architecture and options");
}

ModelConfig grown_model_of(const IncludeDefinition& include, const ModelConfig& parent) {
  try {
    return grown_model(parent, include.growth->request);
  } catch (const Error& error) {
    throw error_at(include.place, error.what(), "change 'grow'");
  }
}

// The parent's rates, as they were tuned or preset, under what the include says.
TrainingSettings settings_of_growth(const Definition& definition, const IncludeDefinition& include,
                                    const CellRun& parent) {
  TrainingSettings settings = settings_of(definition, definition.arms[include.cell.arm],
                                          definition.axes.sizes[parent.cell.size]);
  for (const char* key : {"learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip"})
    set_optimizer_value(settings, key, optimizer_value(parent.config.training.optimizer, key));
  if (!include.training.learning_rate)
    set_optimizer_value(settings, "final_learning_rate",
                        parent.config.training.optimizer.final_learning_rate);
  return merged(settings, include.training);
}

double total_flops(const RunConfig& config) {
  return lineage_flops(config,
                       double(config.training.steps) * double(config.training.batch_tokens));
}

void set_match(RunConfig& config) {
  config.match["match_on"] = name_of(MatchOn::training_flops);
  config.match["match_value"] = config.match["match_target"] = yaml_number(total_flops(config));
  config.match["match_identical"] = grown_identical;
  config.match["schedule"] = schedule_text(config.training.schedule);
}

// The arm of runs that start from nothing: the first with the same model.
std::size_t scratch_arm(const Definition& definition, std::size_t arm) {
  for (std::size_t i = 0; i < arm; ++i) {
    const ArmDefinition &first = definition.arms[i], &own = definition.arms[arm];
    if (first.model == own.model && first.head_size == own.head_size && first.heads == own.heads)
      return i;
  }
  return arm;
}

// Of a from-scratch partner with the FLOPs of the whole lineage. They are no length that anybody
// writes, so that the growth's must change where they are no whole batches.
std::int64_t steps_of_total(const CellRun& grown, const Place& place) {
  const TrainingConfig& training = grown.config.training;
  const double tokens = total_flops(grown.config) / grown.counts.flops_per_token;
  const auto steps = [&](std::int64_t more) {
    return whole_steps(tokens + double(more * training.batch_tokens), training.batch_tokens, place);
  };
  const auto fits = [&](std::int64_t more) {
    try {
      return steps(more) > 0;
    } catch (const Error&) {
      return false;
    }
  };
  constexpr std::int64_t enough = 25;  // steps: any length above is taken
  std::int64_t more = 0;
  while (more <= enough && !fits(more)) ++more;
  if (more == 0 || more > enough) return steps(0);
  const std::int64_t own = training.steps - grown.config.parent.step;
  throw error_at(
      place,
      fmt::format("scratch: total: the compute of the whole lineage is {:.4g} batches of "
                  "{}, and only whole ones are trained on",
                  tokens / double(training.batch_tokens), training.batch_tokens),
      fmt::format("lengthen the growth from {} to {} tokens, or leave total out",
                  own * training.batch_tokens, (own + more) * training.batch_tokens));
}

// A run with the grown shape that starts from nothing.
CellRun scratch_run(const Definition& definition, const IncludeDefinition& include,
                    const CellRun& grown, Scratch scratch, const TrainingSettings& settings,
                    const SizeDefinition& size) {
  CellRun run = grown;
  RunConfig& config = run.config;
  const std::int64_t steps = scratch == Scratch::total ? steps_of_total(grown, include.place)
                                                       : config.training.steps - config.parent.step;
  config.training = training_of(definition, settings, steps, config.model.architecture, size);
  config.parent = {};
  config.lineage.clear();
  config.model.heads = head_count(config.model) == config.model.width / config.model.head_size
                           ? 0
                           : config.model.heads;
  run.cell.arm = scratch_arm(definition, include.cell.arm);
  config.arm = definition.arms[run.cell.arm].name;
  // Only one of them stands beside the grown run in the report's pairs: that of equal total
  // compute.
  if (scratch == Scratch::added || run.cell.arm == include.cell.arm)
    config.length += scratch == Scratch::total ? ".total" : ".added";
  set_match(config);
  config.match["scratch_partner_of"] = grown.config.id;
  config.match["scratch_compute"] = scratch == Scratch::total ? "total" : "added";
  config.id = run_id(config);
  return run;
}

}  // namespace

std::vector<CellRun> grown_runs(const Definition& definition, const IncludeDefinition& include,
                                const std::vector<CellRun>& runs) {
  expect_same_options(definition, include);
  const CellRun& parent = parent_of(definition, *include.growth, runs);
  const TrainingSettings settings = settings_of_growth(definition, include, parent);
  CellRun grown = parent;
  grown.cell = include.cell;
  RunConfig& config = grown.config;
  config.model = grown_model_of(include, parent.config.model);
  grown.counts = count_model(config.model, config.training.context);

  SizeDefinition size = definition.axes.sizes[include.cell.size];
  size.layers = config.model.layers, size.width = config.model.width;
  size.head_size = config.model.head_size, size.target = double(grown.counts.parameters);
  const LengthDefinition& length = definition.axes.lengths[include.cell.length];
  const std::int64_t own = whole_steps(tokens_of(length, grown.counts),
                                       parent.config.training.batch_tokens, length.place);
  config.training = training_of(definition, settings, own, config.model.architecture, size);
  if (config.training.batch_tokens != parent.config.training.batch_tokens)
    throw error_at(include.place, "a grown run goes on with its parent's batches",
                   "leave batch_tokens and context as they are");
  config.arm = definition.arms[include.cell.arm].name;
  config.size = size.name;
  config.length = length.label;
  config.lineage.push_back(
      ancestor_of(parent.config, parent.config.training.steps,
                  even_insertion(parent.config.model.layers,
                                 config.model.layers - parent.config.model.layers)));
  config.parent = {.run = parent.config.id, .step = parent.config.training.steps};
  config.training.schedule.first_step = parent.config.training.steps;
  config.training.steps += parent.config.training.steps;
  config.log.checkpoint_at.clear();
  set_match(config);
  config.id = run_id(config);

  std::vector<CellRun> made{grown};
  for (const Scratch scratch : include.growth->scratch)
    made.push_back(scratch_run(definition, include, grown, scratch, settings, size));
  return made;
}

}  // namespace metascale::resolving
