// data, evaluation, log, resources, launch, policy, budget and analysis.
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

std::vector<std::string> read_strings(const YamlNode& node) {
  return read_list_of(node, read_string, OneOrMany::or_one);
}

std::int64_t auto_or_count(const YamlNode& node) {
  return node.text == "auto" ? 0 : read_integer(node, 1, 4096);
}

// Ids that this tokenizer needs; 0: not known here, the token file tells.
std::int64_t tokenizer_vocabulary(const std::string& tokenizer) {
  if (tokenizer == "bytes") return 257;  // 256 bytes and the end of a document
  if (tokenizer.ends_with("20B_tokenizer.json")) return 50277;
  return 0;
}

void read_resource(YamlMap& map, ResourceSettings& resource) {
  const auto count = [](const YamlNode& at) { return read_integer(at, 0, 1 << 20); };
  map.read("gpus", resource.gpus, count);
  map.read("cpus", resource.cpus, count);
  map.read("runs_per_gpu", resource.runs_per_gpu, count);
  map.read("time", resource.time, read_duration);
}

LocalLaunch read_local(const YamlNode& node) {
  LocalLaunch local;
  read_map(node, [&](YamlMap& map) {
    map.read("slots", local.slots, auto_or_count);
    map.read("threads", local.threads, auto_or_count);
  });
  return local;
}

SlurmLaunch read_slurm(const YamlNode& node) {
  SlurmLaunch slurm;
  read_map(node, [&](YamlMap& map) {
    map.read("partition", slurm.partition, read_string);
    map.read("account", slurm.account, read_string);
    map.read("array_cap", slurm.array_cap,
             [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); });
    map.read("signal_before", slurm.signal_before, read_duration);
    map.read("max_stalled_timeouts", slurm.max_stalled_timeouts,
             [](const YamlNode& at) { return read_integer(at, 0, 1000); });
    map.read("lines", slurm.lines, read_strings);
    map.read("setup", slurm.setup, read_strings);
  });
  return slurm;
}

TemplateLaunch read_template(const YamlNode& node) {
  TemplateLaunch commands;
  read_map(node, [&](YamlMap& map) {
    commands.submit = read_string(map.at("submit"));
    commands.state = read_string(map.at("state"));
    commands.cancel = read_string(map.at("cancel"));
  });
  return commands;
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

DataDefinition read_data(const YamlNode& node) {
  DataDefinition data{.place = place_of(node), .vocabulary_place = place_of(node)};
  DataConfig& config = data.config;
  read_map(node, [&](YamlMap& map) {
    config.name = read_name(map.at("name"));
    config.train = read_string(map.at("train"));
    config.validation = read_string(map.at("validation"));
    config.test = read_string(map.at("test"));
    map.read("tokenizer", config.tokenizer, read_string);
    map.read("order", config.order, [](const YamlNode& at) { return read_word(at, order_names); });
    map.read("order_seed", config.order_seed, read_unsigned);
    map.read("mixture", config.mixture,
             [](const YamlNode& at) { return read_word(at, mixture_names); });
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

LogDefinition read_log(const YamlNode& node) {
  LogDefinition log{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    map.read("every", log.every, read_interval);
    map.read("checkpoint_every", log.checkpoint_every, read_interval);
    map.read("keep", log.keep, [](const YamlNode& at) { return read_integer(at, 1, 1 << 20); });
  });
  return log;
}

ResourcesDefinition read_resources(Definition& definition, const YamlNode& node) {
  ResourcesDefinition resources;
  read_map(node, [&](YamlMap& map) {
    if (const YamlNode* standard = map.find("default"))
      read_map(*standard, [&](YamlMap& keys) { read_resource(keys, resources.standard); });
    const YamlNode* when = map.find("when");
    for (const YamlNode& item : when ? read_list(*when) : std::span<const YamlNode>())
      read_map(item, [&](YamlMap& keys) {
        auto& [selector, resource] = resources.when.emplace_back();
        selector = read_selector(definition, keys);
        read_resource(keys, resource);
      });
  });
  return resources;
}

LaunchDefinition read_launch(const YamlNode& node) {
  LaunchDefinition launch{.place = place_of(node)};
  read_map(node, [&](YamlMap& map) {
    if (const YamlNode* local = map.find("local")) launch.how = read_local(*local);
    if (const YamlNode* slurm = map.find("slurm")) launch.how = read_slurm(*slurm);
    if (const YamlNode* commands = map.find("template")) launch.how = read_template(*commands);
  });
  if (node.keys.size() != 1)
    throw yaml_error(node, fmt::format("{} ways to launch", node.keys.size()),
                     "name one of local, slurm and template");
  return launch;
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
