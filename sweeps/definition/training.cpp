// training: of the sweep, of an arm, of a size; and arms and the match, which are written in its
// terms.
#include <fmt/format.h>

#include <algorithm>

#include "experiments/config_tables.hpp"
#include "sweeps/definition/parts.hpp"

namespace metascale {
namespace {

enum class Residual { parallel, sequential };
constexpr Named<Residual> residual_names[] = {{"parallel", Residual::parallel},
                                              {"sequential", Residual::sequential}};
enum class Gelu { tanh, erf };
constexpr Named<Gelu> gelu_names[] = {{"tanh", Gelu::tanh}, {"erf", Gelu::erf}};

// "1%" of the run, or "10 steps".
Part read_part(const YamlNode& node) {
  static constexpr std::string_view units[] = {"%", "step", "steps"};
  const Quantity quantity = read_quantity(node, units);
  if (quantity.unit == "%") return {.fraction = read_percent(node)};
  if (quantity.value != std::int64_t(quantity.value))
    throw yaml_error(node, fmt::format("'{}' is no whole number of steps", node.text),
                     "write 10 steps");
  return {.steps = std::int64_t(quantity.value)};
}

ScheduleSettings read_schedule(const YamlNode& node) {
  ScheduleSettings schedule;
  read_map(node, [&](YamlMap& map) {
    map.read("kind", schedule.kind,
             [](const YamlNode& at) { return read_choice(at, schedule_kind_names); });
    map.read("warmup", schedule.warmup, read_part);
    map.read("decay", schedule.decay, read_part);
    map.read("final", schedule.final, [](const YamlNode& at) { return read_percent(at); });
  });
  if (schedule.decay && schedule.kind && *schedule.kind != ScheduleKind::wsd)
    throw yaml_error(
        *node.find("decay"),
        fmt::format("a {} schedule has no decay phase of its own", name_of(*schedule.kind)),
        "remove it, or write kind: wsd");
  return schedule;
}

std::int64_t read_auto_or_count(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar && node.text == "auto") return 0;
  return read_integer(node, 1, 1 << 20);
}

void read_rates(YamlMap& map, TrainingSettings& training) {
  const auto number = [&](const char* key, std::optional<double>& target, double least,
                          double most) {
    map.read(key, target, [&](const YamlNode& node) { return read_number(node, least, most); });
  };
  number("learning_rate", training.learning_rate, 1e-9, 10);
  number("final_learning_rate", training.final_learning_rate, 0, 10);
  number("beta1", training.beta1, 0, 0.999999);
  number("beta2", training.beta2, 0, 0.99999999);
  number("epsilon", training.epsilon, 1e-30, 1);
  number("weight_decay", training.weight_decay, 0, 100);
  number("clip", training.clip, 1e-12, 1e12);
  number("new_learning_rate", training.new_learning_rate, 0, 1e3);
  number("new_weight_decay", training.new_weight_decay, 0, 1e3);
}

void read_tuned_values(TuningDefinition& tuning, const YamlNode& over) {
  static const std::vector<std::string> tunable{"learning_rate", "final_learning_rate", "beta2",
                                                "epsilon", "weight_decay"};
  const YamlMap is_map(over);
  std::size_t trials = 1;
  for (std::size_t i = 0; i < over.keys.size(); ++i) {
    if (std::find(tunable.begin(), tunable.end(), over.keys[i]) == tunable.end())
      throw yaml_error(over.items[i], "this key cannot be tuned",
                       nearest_of(over.keys[i], tunable));
    std::vector<double> values = read_list_of(
        over.items[i], [](const YamlNode& item) { return read_number(item, 1e-30, 100); });
    if (values.empty()) throw yaml_error(over.items[i], "no values", "write at least one");
    trials *= values.size();
    tuning.over.emplace_back(over.keys[i], std::move(values));
  }
  if (tuning.trials_per_arm != std::int64_t(trials))
    throw error_at(tuning.place,
                   fmt::format("trials_per_arm is {}, but 'over' has {} combinations",
                               tuning.trials_per_arm, trials),
                   fmt::format("write trials_per_arm: {}", trials));
}

TuningDefinition read_tuning(const YamlNode& node) {
  TuningDefinition tuning{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    tuning.trials_per_arm = read_integer(map.at("trials_per_arm"), 1, 1000);
    map.read("at", tuning.at, read_string);
    read_tuned_values(tuning, map.at("over"));
  });
  return tuning;
}

void read_state_options(YamlMap& map, ModelConfig& model) {
  map.read("read_out", model.read_out,
           [](const YamlNode& at) { return read_choice(at, read_out_names); });
  map.read("read_state", model.read_state,
           [](const YamlNode& at) { return read_choice(at, read_state_names); });
  map.read("rho", model.rho, [](const YamlNode& at) { return read_number(at, 1e-6, 1); });
  map.read("gamma_init", model.gamma_init,
           [](const YamlNode& at) { return read_number(at, -1e3, 1e3); });
}

void read_recurrent_options(YamlMap& map, ArmDefinition& arm) {
  const auto rank = [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); };
  map.read("heads", arm.heads, rank);
  map.read("doubled_rate", arm.model.doubled_rate, read_bool);
  map.read("rank_decay", arm.model.rank_decay, rank);
  map.read("rank_rate", arm.model.rank_rate, rank);
  map.read("rank_value", arm.model.rank_value, rank);
  map.read("rank_gate", arm.model.rank_gate, rank);
}

void read_transformer_options(YamlMap& map, ModelConfig& model) {
  map.read("rotary_fraction", model.rotary_fraction,
           [](const YamlNode& at) { return read_number(at, 0, 1); });
  map.read("residual", model.parallel_residual, [](const YamlNode& at) {
    return read_choice(at, residual_names) == Residual::parallel;
  });
  map.read("gelu", model.gelu_tanh,
           [](const YamlNode& at) { return read_choice(at, gelu_names) == Gelu::tanh; });
}

template <typename T>
void take(std::optional<T>& under, const std::optional<T>& over) {
  if (over) under = over;
}

}  // namespace

TrainingSettings merged(const TrainingSettings& under, const TrainingSettings& over) {
  TrainingSettings all = under;
  take(all.batch_tokens, over.batch_tokens);
  take(all.context, over.context);
  take(all.micro_batch, over.micro_batch);
  take(all.precision, over.precision);
  take(all.recompute, over.recompute);
  take(all.wkv, over.wkv);
  take(all.low_rank, over.low_rank);
  take(all.stochastic_rounding, over.stochastic_rounding);
  take(all.cuda_graph, over.cuda_graph);
  take(all.timed_products, over.timed_products);
  take(all.schedule.kind, over.schedule.kind);
  take(all.schedule.warmup, over.schedule.warmup);
  take(all.schedule.decay, over.schedule.decay);
  take(all.schedule.final, over.schedule.final);
  take(all.learning_rate, over.learning_rate);
  take(all.final_learning_rate, over.final_learning_rate);
  take(all.beta1, over.beta1);
  take(all.beta2, over.beta2);
  take(all.epsilon, over.epsilon);
  take(all.weight_decay, over.weight_decay);
  take(all.clip, over.clip);
  take(all.new_learning_rate, over.new_learning_rate);
  take(all.new_weight_decay, over.new_weight_decay);
  for (const auto& [key, place] : over.given) all.given[key] = place;
  return all;
}

std::span<const std::string> identical_names() {
  static const std::vector<std::string> names{"data_order",   "tokens",    "optimizer_steps",
                                              "tokenizer",    "context",   "schedule",
                                              "batch_tokens", "precision", "evaluation"};
  return names;
}

namespace definition {

TrainingSettings read_training(const YamlNode& node) {
  TrainingSettings training;
  read_map(node, [&](YamlMap& map) {
    const auto count = [](const YamlNode& at) { return read_integer(at, 1); };
    map.read("batch_tokens", training.batch_tokens, count);
    map.read("context", training.context, count);
    map.read("micro_batch", training.micro_batch, read_auto_or_count);
    map.read("precision", training.precision,
             [](const YamlNode& at) { return read_choice(at, precision_names); });
    map.read("recompute", training.recompute,
             [](const YamlNode& at) { return read_choice(at, recompute_names); });
    map.read("wkv", training.wkv,
             [](const YamlNode& at) { return read_choice(at, wkv_form_names); });
    map.read("low_rank", training.low_rank,
             [](const YamlNode& at) { return read_choice(at, low_rank_form_names); });
    map.read("stochastic_rounding", training.stochastic_rounding, read_bool);
    map.read("cuda_graph", training.cuda_graph, read_bool);
    map.read("timed_products", training.timed_products, read_bool);
    map.read("schedule", training.schedule, read_schedule);
    read_rates(map, training);
  });
  for (std::size_t i = 0; i < node.keys.size(); ++i)
    training.given[node.keys[i]] = place_of(node.items[i]);
  return training;
}

ArmDefinition read_arm(const std::string& name, const YamlNode& node) {
  ArmDefinition arm{.name = name, .place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    const Architecture architecture = read_choice(map.at("architecture"), architecture_names);
    arm.model.architecture = architecture;
    map.read("head_size", arm.head_size,
             [](const YamlNode& at) { return read_integer(at, 1, 4096); });
    map.read("feed_forward", arm.model.feed_forward,
             [](const YamlNode& at) { return read_integer(at, 1, 1 << 26); });
    switch (architecture) {
      case Architecture::meta_state: read_state_options(map, arm.model); [[fallthrough]];
      case Architecture::rwkv7: read_recurrent_options(map, arm); break;
      case Architecture::transformer: read_transformer_options(map, arm.model); break;
      case Architecture::transformer_pp: break;
    }
    map.read("training", arm.training, read_training);
  });
  return arm;
}

std::vector<std::string> read_identical(const YamlNode& node) {
  const auto names = identical_names();
  std::vector<std::string> read;
  for (const YamlNode& item : read_list(node)) {
    if (std::find(names.begin(), names.end(), item.text) == names.end())
      throw choice_error(item, names);
    if (std::find(read.begin(), read.end(), item.text) != read.end())
      throw yaml_error(item, fmt::format("{} is named twice", item.text), "name it once");
    read.push_back(item.text);
  }
  return read;
}

MatchDefinition read_match(const YamlNode& node) {
  MatchDefinition match{.place = place_of(node)};
  match.identical.assign(identical_names().begin(), identical_names().end());
  read_map(node, [&](YamlMap& map) {
    map.read("on", match.on, [](const YamlNode& at) { return read_choice(at, match_on_names); });
    map.read("tolerance", match.tolerance,
             [](const YamlNode& at) { return read_percent(at, 1e-9, most_match_tolerance); });
    map.read("step", match.step, read_auto_or_count);
    map.read("identical", match.identical, read_identical);
    if (const YamlNode* tuning = map.find("tuning")) match.tuning = read_tuning(*tuning);
  });
  return match;
}

}  // namespace definition
}  // namespace metascale
