#include "sweeps/resolve/cells.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace metascale::resolving {
namespace {

// A ladder's small sizes are named by what is not embedding [docs/sweep-file.md, "size"].
constexpr double least_total_target = 10e6;

ModelConfig model_of(const Definition& definition, const ArmDefinition& arm,
                     const SizeDefinition& size) {
  ModelConfig model = arm.model;
  model.layers = size.layers;
  model.width = size.width;
  model.vocabulary = size.probe.exists() ? std::max<std::int64_t>(2, vocabulary_of(size.probe))
                                         : definition.data.vocabulary;
  model.head_size = arm.head_size ? arm.head_size : size.head_size;
  model.heads = arm.heads;
  if (model.width % model.head_size)
    throw error_at(arm.place,
                   fmt::format("head_size {} does not divide width {} of size {}", model.head_size,
                               model.width, size.name),
                   "choose a head size that divides the width");
  return model;
}

// An error of matching, which knows no file, at the size that it is about.
MatchResult match_at(const SizeDefinition& size, const std::vector<MatchArm>& arms,
                     const MatchRequest& request) {
  try {
    return match_arms(arms, request);
  } catch (const Error& error) {
    throw Error(fmt::format("{}:{}: {}: size {}: {}", size.place.where.file, size.place.where.line,
                            size.place.path, size.name, error.what()),
                error.code);
  }
}

MatchOn counted(MatchOn on, double target) {
  return on == MatchOn::parameters && target < least_total_target
             ? MatchOn::non_embedding_parameters
             : on;
}

MatchedSize match_size(const Definition& definition, const SizeDefinition& size) {
  MatchedSize matched;
  std::vector<MatchArm> arms;
  for (const ArmDefinition& arm : definition.arms)
    arms.push_back({arm.name, model_of(definition, arm, size)});
  MatchRequest& request = matched.request;
  request = {.on = definition.match.on,
             .target = size.target,
             .tolerance = definition.match.tolerance,
             .step = definition.match.step,
             .context = context_of(definition, size)};
  if (size.feed_forward) {
    if (arms[0].model.feed_forward)
      throw error_at(
          definition.arms[0].place,
          fmt::format("the baseline has a feed_forward, and size {} gives it another", size.name),
          "leave it out of the arm, or give the size a target");
    arms[0].model.feed_forward = size.feed_forward;
    request.target = matched_value(arms[0].model, request.on, request.context);
  } else if (request.on == MatchOn::flops_per_token || request.on == MatchOn::training_flops) {
    // A size's target is in parameters: the baseline meets it, and its FLOPs are the others'
    // target.
    MatchRequest baseline = request;
    baseline.on = counted(MatchOn::parameters, size.target);
    arms[0].model = match_at(size, {arms[0]}, baseline).models[0];
    request.target = matched_value(arms[0].model, request.on, request.context);
  } else {
    request.on = counted(request.on, size.target);
  }
  matched.result = match_at(size, arms, request);
  return matched;
}

std::int64_t interval_steps(const Period& interval, std::int64_t batch_tokens) {
  if (interval.steps) return interval.steps;
  if (!(interval.tokens > 0)) return 0;
  return std::max<std::int64_t>(1, std::llround(interval.tokens / double(batch_tokens)));
}

// What the log of a run says about its match [core/match_key.hpp] that only its sweep knows; the
// rest the trainer finds out itself. The report compares it between runs.
std::map<std::string, std::string> match_entries(const Definition& definition,
                                                 const MatchedSize& matched,
                                                 const RunConfig& config, std::size_t arm) {
  std::string identical;
  for (const std::string& name : definition.match.identical)
    identical += (identical.empty() ? "" : " ") + name;
  std::string arms;
  for (const ArmDefinition& each : definition.arms) arms += (arms.empty() ? "" : ",") + each.name;
  return {{"arms", arms},
          {"baseline_arm", definition.arms[0].name},
          {"match_on", name_of(matched.request.on)},
          {"match_target", yaml_number(matched.request.target)},
          {"match_tolerance", yaml_number(matched.request.tolerance)},
          {"match_value", yaml_number(matched.result.values[arm])},
          {"match_identical", identical},
          {"role", name_of(config.role)},
          {"schedule", schedule_text(config.training.schedule)}};
}

// A tuned value is carried to other sizes as its ratio to the preset.
void apply_choices(TrainingSettings& settings, const Definition& definition, const GridCell& cell,
                   const std::map<std::string, double>& chosen) {
  const ArmDefinition& arm = definition.arms[cell.arm];
  const SizeDefinition& here = definition.axes.sizes[cell.size];
  const SizeDefinition& tuned = definition.axes.sizes[tuning_size(definition)];
  const OptimizerConfig own = optimizer_of(settings, arm.model.architecture, here);
  const OptimizerConfig there =
      optimizer_of(settings_of(definition, arm, tuned), arm.model.architecture, tuned);
  for (const auto& [key, value] : chosen) {
    const double from = optimizer_value(there, key);
    set_optimizer_value(settings, key, from > 0 ? optimizer_value(own, key) * value / from : value);
  }
}

void fill_names(RunConfig& config, const Definition& definition, const GridCell& cell) {
  config.sweep = definition.name;
  config.arm = definition.arms[cell.arm].name;
  config.size = definition.axes.sizes[cell.size].name;
  config.length = definition.axes.lengths[cell.length].label;
  config.seed = definition.axes.seeds[cell.seed];
  config.device = definition.device;
  if (const auto* local = std::get_if<LocalLaunch>(&definition.launch.how))
    config.threads = local->threads;
}

void check_probe_lengths(const SizeDefinition& size, std::int64_t context) {
  if (!size.probe.exists()) return;
  try {
    check_lengths(size.probe, context);
  } catch (const Error& error) {
    throw Error(fmt::format("{}:{}: {}: size {}: {}", size.place.where.file, size.place.where.line,
                            size.place.path, size.name, error.what()),
                error.code);
  }
}

CellRun run_with(const Definition& definition, const Sizes& sizes, const GridCell& cell,
                 const TrainingSettings& settings) {
  const SizeDefinition& size = definition.axes.sizes[cell.size];
  const LengthDefinition& length = definition.axes.lengths[cell.length];
  const MatchedSize& matched = sizes.at(cell.size);
  CellRun run{.cell = cell, .place = length.place};
  RunConfig& config = run.config;
  fill_names(config, definition, cell);
  config.model = matched.result.models[cell.arm];
  const std::int64_t context = context_of(definition, size);
  const ModelCounts baseline = count_model(matched.result.models[0], context);
  const std::int64_t batch_tokens = whole_windows(definition, settings);
  const std::int64_t steps = whole_steps(tokens_of(length, baseline), batch_tokens, length.place);
  config.training = training_of(definition, settings, steps, config.model.architecture, size);
  config.data = definition.data.config;
  config.data.probe = size.probe;
  check_probe_lengths(size, config.training.context);
  config.evaluation = {.every_steps = interval_steps(definition.evaluation.every, batch_tokens),
                       .windows = definition.evaluation.windows,
                       .final_windows = definition.evaluation.final_windows,
                       .protocol = definition.evaluation.protocol,
                       .domains = definition.evaluation.domains};
  config.log = {.checkpoint_every = interval_steps(definition.log.checkpoint_every, batch_tokens),
                .keep = definition.log.keep};
  config.match = match_entries(definition, matched, config, cell.arm);
  config.id = run_id(config);
  run.counts = count_model(config.model, config.training.context);
  return run;
}

}  // namespace

// The shape of the schedule only: its rates are the arm's own.
std::string schedule_text(const ScheduleConfig& schedule) {
  return fmt::format("{}, {} steps of warm-up, {} of decay", name_of(schedule.kind),
                     schedule.warmup_steps, schedule.decay_steps);
}

Sizes match_sizes(const Definition& definition, const std::vector<GridCell>& cells) {
  check_arms(definition);
  Sizes sizes;
  const auto add = [&](std::size_t size) {
    if (!sizes.contains(size)) sizes[size] = match_size(definition, definition.axes.sizes[size]);
  };
  for (const GridCell& cell : cells) add(cell.size);
  for (const IncludeDefinition& include : definition.include)
    if (!include.growth) add(include.cell.size);
  if (definition.match.tuning) add(tuning_size(definition));
  return sizes;
}

CellRun run_of_cell(const Definition& definition, const Sizes& sizes, const GridCell& cell,
                    const TrainingSettings& extra, const TuningChoices& choices) {
  const ArmDefinition& arm = definition.arms[cell.arm];
  TrainingSettings settings =
      merged(settings_of(definition, arm, definition.axes.sizes[cell.size]), extra);
  if (const auto chosen = choices.find(arm.name); chosen != choices.end())
    apply_choices(settings, definition, cell, chosen->second);
  return run_with(definition, sizes, cell, settings);
}

std::vector<CellRun> trials(const Definition& definition, const std::vector<GridCell>& cells,
                            const Sizes& sizes) {
  const TuningDefinition& tuning = *definition.match.tuning;
  GridCell cell{.size = tuning_size(definition)};
  cell.seed = cells.empty() ? 0 : cells.front().seed;
  cell.length =
      shortest_length(definition, cells,
                      count_model(sizes.at(cell.size).result.models[0],
                                  context_of(definition, definition.axes.sizes[cell.size])));
  std::vector<CellRun> runs;
  for (cell.arm = 0; cell.arm < definition.arms.size(); ++cell.arm)
    for (std::int64_t trial = 0; trial < tuning.trials_per_arm; ++trial) {
      TrainingSettings settings =
          settings_of(definition, definition.arms[cell.arm], definition.axes.sizes[cell.size]);
      std::int64_t rest = trial;
      for (const auto& [key, values] : tuning.over) {
        set_optimizer_value(settings, key, values[std::size_t(rest) % values.size()]);
        rest /= std::int64_t(values.size());
      }
      CellRun run = run_with(definition, sizes, cell, settings);
      run.config.role = Role::trial;
      run.config.match["role"] = name_of(Role::trial);
      run.config.data.test.clear();
      run.config.id = run_id(run.config);
      runs.push_back(std::move(run));
    }
  return runs;
}

}  // namespace metascale::resolving
