// data, evaluation, log, policy, budget and analysis.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "experiments/config_tables.hpp"
#include "sweeps/definition/parts.hpp"

namespace metascale::definition {
namespace {

constexpr Named<OnFailure> on_failure_names[] = {{"keep_going", OnFailure::keep_going},
                                                 {"stop", OnFailure::stop}};
constexpr Named<FitKind> fit_names[] = {
    {"power", FitKind::power}, {"chinchilla", FitKind::chinchilla}, {"isoflop", FitKind::isoflop}};
constexpr Named<HoldOut> hold_out_names[] = {{"none", HoldOut::none},
                                             {"largest_size", HoldOut::largest_size}};

std::int64_t whole_number(const YamlNode& node, double value) {
  if (value != std::int64_t(value) || value < 1)
    throw yaml_error(node, fmt::format("'{}' is no whole number", node.text), "write 1 or more");
  return std::int64_t(value);
}

// Ids that this tokenizer needs; 0: not known here, the token file tells.
std::int64_t tokenizer_vocabulary(const std::string& tokenizer) {
  if (tokenizer == "bytes") return 257;  // 256 bytes and the end of a document
  if (tokenizer.ends_with("20B_tokenizer.json")) return 50277;
  return 0;
}

}  // namespace

std::string check_name(const YamlNode& node, const std::string& name) {
  const bool good = !name.empty() && name.size() <= 64 && name[0] != '.' &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.';
                    });
  if (!good)
    throw yaml_error(node,
                     fmt::format("'{}' cannot be a name: it becomes part of a run's id", name),
                     "use letters, digits, '_' and '.'");
  return name;
}

std::string read_name(const YamlNode& node) {
  std::string name = read_string(node);
  if (node.path != "name") return check_name(node, name);
  std::string without_dashes = name;  // the sweep's own name is a folder, no part of an id
  std::replace(without_dashes.begin(), without_dashes.end(), '-', '_');
  check_name(node, without_dashes);
  return name;
}

Period read_interval(const YamlNode& node) {
  static constexpr std::string_view units[] = {"token", "tokens", "step", "steps"};
  if (node.text == "never") return {};
  const Quantity quantity = read_quantity(node, units);
  if (!(quantity.value > 0))
    throw yaml_error(node, "an interval of nothing", "write never, or a number above 0");
  if (quantity.unit.starts_with("token")) return {.tokens = quantity.value};
  return {.steps = whole_number(node, quantity.value)};
}

std::int64_t read_all_or_count(const YamlNode& node) {
  static constexpr std::string_view units[] = {"window", "windows"};
  if (node.text == "all") return 0;
  return whole_number(node, read_quantity(node, units).value);
}

// A probe stands for token files, and brings its own ids.
DataDefinition read_probe_data(const YamlNode& node) {
  DataDefinition data{.place = place_of(node), .vocabulary_place = place_of(node)};
  data.config.tokenizer = "none";
  read_map(node, [&](YamlMap& map) {
    data.config.name = read_name(map.at("name"));
    data.config.probe = read_probe(map.at("probe"));
    map.read("order_seed", data.config.order_seed, read_unsigned);
  });
  data.vocabulary = vocabulary_of(data.config.probe);
  return data;
}

DataDefinition read_data(const YamlNode& node) {
  if (node.find("probe")) return read_probe_data(node);
  DataDefinition data{.place = place_of(node), .vocabulary_place = place_of(node)};
  DataConfig& config = data.config;
  read_map(node, [&](YamlMap& map) {
    config.name = read_name(map.at("name"));
    config.train = read_string(map.at("train"));
    config.validation = read_string(map.at("validation"));
    config.test = read_string(map.at("test"));
    map.read("tokenizer", config.tokenizer, read_string);
    map.read("format", config.format,
             [](const YamlNode& at) { return read_word(at, format_names); });
    map.read("order", config.order, [](const YamlNode& at) { return read_word(at, order_names); });
    map.read("order_seed", config.order_seed, read_unsigned);
    map.read("mixture", config.mixture, read_mixture);
    if (config.mixture != "as_stored" && config.order != "permuted")
      throw yaml_error(map.at("mixture"), fmt::format("a mixture has no order '{}'", config.order),
                       "write order: permuted, or mixture: as_stored");
    map.read("reset_at_documents", config.reset_at_documents, read_bool);
    const std::int64_t needed = tokenizer_vocabulary(config.tokenizer);
    const YamlNode* vocabulary = needed == 257 ? map.find("vocabulary") : &map.at("vocabulary");
    data.vocabulary = needed;
    if (!vocabulary) return;
    data.vocabulary_place = place_of(*vocabulary);
    data.vocabulary = read_integer(*vocabulary, 2, 1 << 26);
    if (data.vocabulary < needed)
      throw yaml_error(*vocabulary,
                       fmt::format("{} is too small: the tokenizer '{}' has {} ids",
                                   data.vocabulary, config.tokenizer, needed),
                       fmt::format("write {} or more", needed));
  });
  return data;
}

void read_probes_of_sizes(Definition& definition) {
  const ProbeSettings& sweep = definition.data.config.probe;
  for (SizeDefinition& size : definition.axes.sizes) {
    size.probe = sweep;
    if (size.probe_keys.kind == YamlNode::Kind::null) continue;
    if (!sweep.exists())
      throw yaml_error(size.probe_keys, "a probe of a size, in a sweep on token files",
                       "write data.probe, whose keys this one overrides");
    size.probe = read_probe(size.probe_keys, sweep);
  }
}

EvaluationDefinition read_evaluation(const YamlNode& node) {
  EvaluationDefinition evaluation{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    map.read("every", evaluation.every, read_interval);
    map.read("windows", evaluation.windows, read_all_or_count);
    map.read("final", evaluation.final_windows, read_all_or_count);
    map.read("protocol", evaluation.protocol,
             [](const YamlNode& at) { return read_word(at, protocol_names); });
    if (const YamlNode* domains = map.find("domains"); domains && domains->text != "all")
      evaluation.domains = read_list_of(*domains, read_string);
  });
  return evaluation;
}

// Pairs are compared step by step, and a spike is seen in the steps before it: no step is left out.
void expect_each_step(const YamlNode& node) {
  if (const Period period = read_interval(node); period.steps != 1)
    throw yaml_error(node, "each step is logged", "write every: 1 step, or leave it out");
}

LogDefinition read_log(const YamlNode& node) {
  LogDefinition log{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    if (const YamlNode* every = map.find("every")) expect_each_step(*every);
    map.read("checkpoint_every", log.checkpoint_every, read_interval);
    map.read("keep", log.keep, [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); });
  });
  return log;
}

SpikeConfig read_spike(const YamlNode& node) {
  SpikeConfig spike;
  read_map(node, [&](YamlMap& map) {
    spike.action = read_choice(map.at("action"), on_spike_names);
    map.read("factor", spike.factor, [](const YamlNode& at) { return read_number(at, 1, 1e6); });
    map.read("window", spike.window,
             [](const YamlNode& at) { return read_integer(at, 1, 1 << 16); });
  });
  return spike;
}

RollBackConfig read_roll_back(const YamlNode& node) {
  RollBackConfig roll_back;
  read_map(node, [&](YamlMap& map) {
    map.read("skip_batches", roll_back.skip_batches,
             [](const YamlNode& at) { return read_integer(at, 1); });
    map.read("most", roll_back.most, [](const YamlNode& at) { return read_integer(at, 1, 1000); });
  });
  return roll_back;
}

PolicyDefinition read_policy(const YamlNode& node) {
  PolicyDefinition policy{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    map.read("on_failure", policy.on_failure,
             [](const YamlNode& at) { return read_choice(at, on_failure_names); });
    map.read("retries", policy.retries,
             [](const YamlNode& at) { return read_integer(at, 0, 1000); });
    map.read("non_finite", policy.non_finite,
             [](const YamlNode& at) { return read_choice(at, non_finite_names); });
    map.read("spike", policy.spike, read_spike);
    const YamlNode* roll_back = map.find("roll_back");
    if (!roll_back) return;
    if (policy.non_finite != NonFinite::roll_back && policy.spike.action != OnSpike::roll_back)
      throw yaml_error(*roll_back, "nothing rolls back",
                       "write non_finite: roll_back or spike: {action: roll_back}, or remove it");
    policy.roll_back = read_roll_back(*roll_back);
  });
  return policy;
}

BudgetDefinition read_budget(const YamlNode& node) {
  BudgetDefinition budget{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    const auto amount = [](const YamlNode& at) { return read_number(at, 0, 1e12); };
    map.read("gpu_hours", budget.gpu_hours, amount);
    map.read("hours", budget.hours, amount);
    map.read("price_per_gpu_hour", budget.price_per_gpu_hour, amount);
    map.read("price_per_core_hour", budget.price_per_core_hour, amount);
    map.read("refuse_above", budget.refuse_above, read_bool);
  });
  return budget;
}

AnalysisDefinition read_analysis(const YamlNode& node) {
  AnalysisDefinition analysis{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    map.read("fits", analysis.fits, [](const YamlNode& at) {
      return read_list_of(at, [](const YamlNode& item) { return read_choice(item, fit_names); });
    });
    map.read("bootstrap", analysis.bootstrap,
             [](const YamlNode& at) { return read_integer(at, 0, 10'000'000); });
    map.read("hold_out", analysis.hold_out,
             [](const YamlNode& at) { return read_choice(at, hold_out_names); });
  });
  return analysis;
}

}  // namespace metascale::definition
