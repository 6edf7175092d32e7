#include "sweeps/definition.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sweeps/definition/parts.hpp"

namespace metascale {
namespace {

constexpr Named<Device> device_names[] = {{"cpu", Device::cpu}, {"cuda", Device::cuda}};

// Nothing for auto, which the sweep's resources decide and no machine: a sweep planned on one
// without a GPU must give the same runs.
std::optional<Device> read_device(const YamlNode& node) {
  if (read_string(node) == "auto") return std::nullopt;
  return read_choice(node, device_names);
}

void read_arms(Definition& definition, const YamlNode& node) {
  const YamlMap is_map(node);
  for (std::size_t i = 0; i < node.keys.size(); ++i)
    definition.arms.push_back(
        definition::read_arm(definition::check_name(node.items[i], node.keys[i]), node.items[i]));
  if (definition.arms.size() < 2)
    throw yaml_error(node, fmt::format("{} arm", definition.arms.size()),
                     "a comparison needs two or more; the first is the baseline");
}

template <typename Target, typename Read>
void optional_part(YamlMap& map, const char* key, Target& target, Read&& read) {
  if (const YamlNode* node = map.find(key)) target = read(*node);
}

void read_runs(Definition& definition, YamlMap& map) {
  definition::read_axes(definition, map.at("axes"), map.find("zip"));
  if (const YamlNode* exclude = map.find("exclude"))
    for (const YamlNode& item : read_list(*exclude))
      read_map(item, [&](YamlMap& keys) {
        definition.exclude.push_back(definition::read_selector(definition, keys));
      });
  if (const YamlNode* include = map.find("include"))
    for (const YamlNode& item : read_list(*include))
      definition.include.push_back(definition::read_include(definition, item));
}

void read_all(Definition& definition, YamlMap& map) {
  read_integer(map.at("schema"), 1, 1);
  definition.name = definition::read_name(map.at("name"));
  std::optional<Device> device;
  map.read("device", device, read_device);
  read_arms(definition, map.at("arms"));
  definition.match.identical.assign(identical_names().begin(), identical_names().end());
  definition.match.place = place_of(map.node());
  map.read("match", definition.match, definition::read_match);
  definition.training = definition::read_training(map.at("training"));
  definition.training_place = place_of(map.at("training"));
  read_runs(definition, map);
  definition.data = definition::read_data(map.at("data"));
  definition::read_probes_of_sizes(definition);
  map.read("evaluation", definition.evaluation, definition::read_evaluation);
  map.read("log", definition.log, definition::read_log);
  if (const YamlNode* node = map.find("resources"))
    definition.resources = definition::read_resources(definition, *node);
  definition.device_is_auto = !device;
  definition.device = device.value_or(asks_for_gpus(definition) ? Device::cuda : Device::cpu);
  if (const YamlNode* node = map.find("launch"))
    definition.launch = definition::read_launch(*node, definition.resources);
  map.read("policy", definition.policy, definition::read_policy);
  map.read("budget", definition.budget, definition::read_budget);
  map.read("analysis", definition.analysis, definition::read_analysis);
}

Definition definition_of(YamlNode root, const std::filesystem::path& file,
                         const std::vector<std::string>& overrides) {
  root = with_bases(std::move(root), file.parent_path());
  for (const std::string& assignment : overrides) set_yaml(root, assignment);
  Definition definition;
  definition.file = file;
  definition.text = to_yaml(root);
  definition.place = place_of(root);
  read_map(root, [&](YamlMap& map) { read_all(definition, map); });
  return definition;
}

}  // namespace

Place place_of(const YamlNode& node) {
  return {node.key_where.line ? node.key_where : node.where, node.path};
}

Error error_at(const Place& place, const std::string& wrong, const std::string& right) {
  YamlNode node;
  node.where = place.where;
  node.path = place.path;
  return yaml_error(node, wrong, right);
}

bool Selector::matches(const GridCell& cell) const {
  const auto allows = [](const std::vector<std::size_t>& set, std::size_t index) {
    return set.empty() || std::find(set.begin(), set.end(), index) != set.end();
  };
  return allows(arms, cell.arm) && allows(sizes, cell.size) && allows(lengths, cell.length) &&
         allows(seeds, cell.seed);
}

bool asks_for_gpus(const Definition& definition) {
  const auto asks = [](const ResourceSettings& settings) { return settings.gpus.value_or(0) > 0; };
  const auto& when = definition.resources.when;
  return asks(definition.resources.standard) ||
         std::any_of(when.begin(), when.end(), [&](const auto& item) { return asks(item.second); });
}

Definition read_definition(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides) {
  return definition_of(read_yaml(file), file, overrides);
}

Definition parse_definition(const std::string& text, const std::string& file_name,
                            const std::vector<std::string>& overrides) {
  return definition_of(parse_yaml(text, file_name), file_name, overrides);
}

}  // namespace metascale
