#include "sweeps/resolve/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "experiments/run_programs.hpp"
#include "sweeps/presets.hpp"

namespace metascale::resolving {
namespace {

constexpr double tokens_per_parameter = 20;    // 1xC
constexpr double most_rounding = 0.01;         // of a batch, to whole windows
constexpr double most_length_rounding = 0.02;  // of a run, to whole batches

// How an arm may differ from the others.
enum class Freedom {
  free,         // no effect on the match
  if_unmatched  // only where `identical` does not name it
};
struct ArmKey {
  const char* key;
  Freedom freedom;
  const char* identical;
};
constexpr ArmKey arm_keys[] = {{"learning_rate", Freedom::free, ""},
                               {"final_learning_rate", Freedom::free, ""},
                               {"beta2", Freedom::free, ""},
                               {"epsilon", Freedom::free, ""},
                               {"weight_decay", Freedom::free, ""},
                               {"micro_batch", Freedom::free, ""},
                               {"recompute", Freedom::free, ""},
                               {"wkv", Freedom::free, ""},
                               {"low_rank", Freedom::free, ""},
                               {"cuda_graph", Freedom::free, ""},
                               {"timed_products", Freedom::free, ""},
                               {"batch_tokens", Freedom::if_unmatched, "batch_tokens"},
                               {"precision", Freedom::if_unmatched, "precision"},
                               {"schedule", Freedom::if_unmatched, "schedule"}};

// The optimizer's settings by the keys of training.
struct OptimizerKey {
  const char* key;
  double OptimizerConfig::*value;
  std::optional<double> TrainingSettings::*setting;
};
constexpr OptimizerKey optimizer_keys[] = {
    {"learning_rate", &OptimizerConfig::learning_rate, &TrainingSettings::learning_rate},
    {"final_learning_rate", &OptimizerConfig::final_learning_rate,
     &TrainingSettings::final_learning_rate},
    {"beta1", &OptimizerConfig::beta1, &TrainingSettings::beta1},
    {"beta2", &OptimizerConfig::beta2, &TrainingSettings::beta2},
    {"epsilon", &OptimizerConfig::epsilon, &TrainingSettings::epsilon},
    {"weight_decay", &OptimizerConfig::weight_decay, &TrainingSettings::weight_decay},
    {"clip", &OptimizerConfig::clip, &TrainingSettings::clip},
    {"new_learning_rate", &OptimizerConfig::new_learning_rate,
     &TrainingSettings::new_learning_rate},
    {"new_weight_decay", &OptimizerConfig::new_weight_decay, &TrainingSettings::new_weight_decay}};

const OptimizerKey& optimizer_key(const std::string& key) {
  for (const OptimizerKey& row : optimizer_keys)
    if (key == row.key) return row;
  throw Error("no setting of the optimizer is called " + key);
}

void check_arm_key(const Definition& definition, const ArmDefinition& arm, const std::string& key,
                   const Place& place) {
  for (const ArmKey& row : arm_keys) {
    if (key != row.key) continue;
    const auto& identical = definition.match.identical;
    if (row.freedom == Freedom::free ||
        std::find(identical.begin(), identical.end(), row.identical) == identical.end())
      return;
  }
  throw error_at(
      place, fmt::format("arm '{}' may not differ from the others in {}", arm.name, key),
      "write it in the sweep's training, or in a size's; an arm's own may be learning_rate, "
      "final_learning_rate, beta2, epsilon and weight_decay");
}

Place place_of_key(const Definition& definition, const TrainingSettings& settings,
                   const char* key) {
  const auto found = settings.given.find(key);
  return found == settings.given.end() ? definition.training_place : found->second;
}

std::int64_t steps_of(const std::optional<Part>& part, double standard, std::int64_t steps) {
  if (part && part->steps) return part->steps;
  return std::llround((part ? part->fraction : standard) * double(steps));
}

ScheduleConfig schedule_of(const Definition& definition, const TrainingSettings& settings,
                           std::int64_t steps) {
  ScheduleConfig schedule;
  schedule.kind = settings.schedule.kind.value_or(ScheduleKind::cosine);
  schedule.warmup_steps = steps_of(settings.schedule.warmup, 0.01, steps);
  if (schedule.kind == ScheduleKind::wsd)
    schedule.decay_steps = std::max<std::int64_t>(1, steps_of(settings.schedule.decay, 0.1, steps));
  if (schedule.warmup_steps + schedule.decay_steps > steps)
    throw error_at(place_of_key(definition, settings, "schedule"),
                   fmt::format("{} steps of warm-up and {} of decay in a run of {}",
                               schedule.warmup_steps, schedule.decay_steps, steps),
                   "shorten them, or lengthen the run");
  return schedule;
}

// 0: of a run on a GPU, whose memory has a say in it [gpu_memory.hpp].
std::int64_t micro_batch_of(const Definition& definition, const TrainingSettings& settings,
                            std::int64_t windows, std::int64_t context) {
  const std::int64_t given = settings.micro_batch.value_or(0);
  if (given && windows % given)
    throw error_at(place_of_key(definition, settings, "micro_batch"),
                   fmt::format("{} does not divide the {} windows of a batch", given, windows),
                   "write auto, or a divisor");
  if (given || definition.device == Device::cuda) return given;
  return automatic_micro_batch(definition.device, windows, context);
}

}  // namespace

void check_arms(const Definition& definition) {
  for (const ArmDefinition& arm : definition.arms)
    for (const auto& [key, place] : arm.training.given) check_arm_key(definition, arm, key, place);
}

TrainingSettings settings_of(const Definition& definition, const ArmDefinition& arm,
                             const SizeDefinition& size) {
  return merged(merged(definition.training, size.training), arm.training);
}

std::int64_t context_of(const Definition& definition, const SizeDefinition& size) {
  const TrainingSettings settings = merged(definition.training, size.training);
  if (settings.context) return *settings.context;
  throw error_at(definition.training_place, "the key 'context' is missing", "add 'context: 2048'");
}

std::int64_t whole_windows(const Definition& definition, const TrainingSettings& settings) {
  if (!settings.batch_tokens)
    throw error_at(definition.training_place, "the key 'batch_tokens' is missing",
                   "add 'batch_tokens: 0.5M'");
  const std::int64_t context = settings.context.value(), asked = *settings.batch_tokens;
  const std::int64_t rounded =
      std::max<std::int64_t>(1, std::llround(double(asked) / double(context))) * context;
  if (std::abs(double(rounded - asked)) > most_rounding * double(asked))
    throw error_at(place_of_key(definition, settings, "batch_tokens"),
                   fmt::format("{} tokens are no whole number of windows of {}", asked, context),
                   fmt::format("write {}", rounded));
  return rounded;
}

OptimizerConfig optimizer_of(const TrainingSettings& settings, Architecture architecture,
                             const SizeDefinition& size) {
  constexpr double standard_final = 0.1;
  // A size given by its width has no nominal target; 12 L D^2 is near enough to find its row.
  const double target =
      size.target > 0 ? size.target : 12.0 * double(size.layers) * double(size.width * size.width);
  OptimizerConfig optimizer = optimizer_preset(architecture, target);
  for (const OptimizerKey& row : optimizer_keys)
    if (const auto& given = settings.*row.setting) optimizer.*row.value = *given;
  if (!settings.final_learning_rate)
    optimizer.final_learning_rate =
        settings.schedule.kind == ScheduleKind::constant
            ? optimizer.learning_rate
            : optimizer.learning_rate * settings.schedule.final.value_or(standard_final);
  return optimizer;
}

TrainingConfig training_of(const Definition& definition, const TrainingSettings& settings,
                           std::int64_t steps, Architecture architecture,
                           const SizeDefinition& size) {
  TrainingConfig training;
  training.steps = steps;
  training.batch_tokens = whole_windows(definition, settings);
  training.context = settings.context.value();
  training.micro_batch = micro_batch_of(definition, settings,
                                        training.batch_tokens / training.context, training.context);
  training.precision = settings.precision.value_or(Precision::f32);
  training.recompute = settings.recompute.value_or(Recompute::none);
  training.wkv = settings.wkv.value_or(WkvForm::automatic);
  training.low_rank = settings.low_rank.value_or(LowRankForm::separate);
  if (training.wkv == WkvForm::chunked && definition.device == Device::cpu)
    throw error_at(place_of_key(definition, settings, "wkv"),
                   "chunked is a form of the GPU kernels, on the CPU it is not built",
                   "write auto or scan");
  training.stochastic_rounding = settings.stochastic_rounding.value_or(false);
  training.cuda_graph = settings.cuda_graph.value_or(false);
  if (training.cuda_graph && definition.device == Device::cpu)
    throw error_at(place_of_key(definition, settings, "cuda_graph"),
                   "true replays a step on a GPU, and device is cpu", "write false");
  training.timed_products = settings.timed_products.value_or(false);
  if (training.timed_products && definition.device == Device::cpu)
    throw error_at(place_of_key(definition, settings, "timed_products"),
                   "true times the products of a GPU, and device is cpu", "write false");
  training.schedule = schedule_of(definition, settings, steps);
  training.optimizer = optimizer_of(settings, architecture, size);
  training.non_finite = definition.policy.non_finite;
  training.spike = definition.policy.spike;
  training.roll_back = definition.policy.roll_back;
  if (training.optimizer.final_learning_rate > training.optimizer.learning_rate)
    throw error_at(place_of_key(definition, settings, "final_learning_rate"),
                   fmt::format("{} is above the peak {}", training.optimizer.final_learning_rate,
                               training.optimizer.learning_rate),
                   "the rate decays: write at most the peak");
  return training;
}

double optimizer_value(const OptimizerConfig& optimizer, const std::string& key) {
  return optimizer.*optimizer_key(key).value;
}

void set_optimizer_value(TrainingSettings& settings, const std::string& key, double value) {
  settings.*optimizer_key(key).setting = value;
}

double tokens_of(const LengthDefinition& length, const ModelCounts& baseline) {
  switch (length.unit) {
    case LengthUnit::chinchilla:
      return length.value * tokens_per_parameter * double(baseline.non_embedding_parameters);
    case LengthUnit::tokens: return length.value;
    case LengthUnit::flop: return length.value / baseline.flops_per_token;
  }
  return 0;
}

std::int64_t whole_steps(double tokens, std::int64_t batch_tokens, const Place& place) {
  const double batches = tokens / double(batch_tokens), steps = std::max(1.0, std::round(batches));
  if (steps > 1e12) throw error_at(place, "more than 1e12 steps", "shorten the run");
  if (std::abs(steps - batches) > most_length_rounding * batches)
    throw error_at(place,
                   fmt::format("{:.0f} tokens are {:.4g} batches of {}, and only whole ones are "
                               "trained on",
                               tokens, batches, batch_tokens),
                   fmt::format("the nearest possible length is {:.0f} tokens; write that, or "
                               "another batch_tokens",
                               steps * double(batch_tokens)));
  return std::int64_t(steps);
}

std::size_t tuning_size(const Definition& definition) {
  const auto& sizes = definition.axes.sizes;
  const TuningDefinition& tuning = *definition.match.tuning;
  std::size_t least = 0;
  std::vector<std::string> names{"smallest"};
  const auto rank = [](const SizeDefinition& size) {
    return size.layers * size.width * size.width;
  };
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i].name == tuning.at) return i;
    if (!sizes[i].is_grown && rank(sizes[i]) < rank(sizes[least])) least = i;
    names.push_back(sizes[i].name);
  }
  if (tuning.at == "smallest") return least;
  throw error_at(tuning.place, fmt::format("unknown size '{}' in 'at'", tuning.at),
                 nearest_of(tuning.at, names));
}

std::size_t shortest_length(const Definition& definition, const std::vector<GridCell>& cells,
                            const ModelCounts& baseline) {
  const auto tokens = [&](std::size_t index) {
    return tokens_of(definition.axes.lengths[index], baseline);
  };
  std::size_t best = cells.empty() ? 0 : cells.front().length;
  for (const GridCell& cell : cells)
    if (tokens(cell.length) < tokens(best)) best = cell.length;
  return best;
}

}  // namespace metascale::resolving
