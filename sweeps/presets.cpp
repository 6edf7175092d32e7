#include "sweeps/presets.hpp"

#include <fmt/format.h>

#include "experiments/config_tables.hpp"
#include "sweeps/definition/embedded.hpp"

namespace metascale {
namespace {

struct RateRow {
  double up_to = 0, peak = 0;
};
struct OptimizerRow {
  Architecture architecture;
  OptimizerConfig config;
  std::vector<RateRow> rates;
};

std::vector<SizeDefinition> read_sizes() {
  std::vector<SizeDefinition> presets;
  const YamlNode root = parse_yaml(embedded_sizes, "experiments/presets/sizes.yaml");
  const YamlNode& sizes = YamlMap(root).at("sizes");
  for (std::size_t i = 0; i < sizes.keys.size(); ++i)
    read_map(sizes.items[i], [&](YamlMap& map) {
      SizeDefinition& size = presets.emplace_back();
      size.name = sizes.keys[i];
      size.layers = read_integer(map.at("layers"), 1);
      size.width = read_integer(map.at("width"), 1);
      size.head_size = read_integer(map.at("head_size"), 1);
      size.target = parse_number(size.name).value();
    });
  return presets;
}

std::vector<OptimizerRow> read_optimizers() {
  std::vector<OptimizerRow> rows;
  const YamlNode root = parse_yaml(embedded_optimizer, "experiments/presets/optimizer.yaml");
  const YamlNode& architectures = YamlMap(root).at("architectures");
  for (std::size_t i = 0; i < architectures.keys.size(); ++i) {
    YamlNode name = architectures.items[i];
    name.kind = YamlNode::Kind::scalar;
    name.text = architectures.keys[i];
    OptimizerRow& row = rows.emplace_back();
    row.architecture = read_choice(name, architecture_names);
    read_map(architectures.items[i], [&](YamlMap& map) {
      const auto number = [&](const char* key, double most) {
        return read_number(map.at(key), 0, most);
      };
      row.config.beta1 = number("beta1", 1);
      row.config.beta2 = number("beta2", 1);
      row.config.epsilon = number("epsilon", 1);
      row.config.weight_decay = number("weight_decay", 100);
      row.config.clip = number("clip", 1e12);
      for (const YamlNode& item : read_list(map.at("learning_rate")))
        read_map(item, [&](YamlMap& keys) {
          row.rates.push_back({.up_to = read_number(keys.at("up_to"), 1, 1e15),
                               .peak = read_number(keys.at("peak"), 1e-9, 10)});
        });
    });
  }
  return rows;
}

// Variants take the settings of the architecture that they vary.
Architecture family_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::transformer:
    case Architecture::transformer_pp: return Architecture::transformer;
    case Architecture::rwkv7:
    case Architecture::meta_state: return Architecture::rwkv7;
  }
  return architecture;
}

}  // namespace

const std::vector<SizeDefinition>& size_presets() {
  static const std::vector<SizeDefinition> presets = read_sizes();
  return presets;
}

OptimizerConfig optimizer_preset(Architecture architecture, double target) {
  static const std::vector<OptimizerRow> rows = read_optimizers();
  for (const OptimizerRow& row : rows) {
    if (row.architecture != family_of(architecture)) continue;
    for (const RateRow& rate : row.rates)
      if (target <= rate.up_to) {
        OptimizerConfig config = row.config;
        config.learning_rate = rate.peak;
        return config;
      }
  }
  throw Error(
      fmt::format(
          "there is no learning rate for {} at {:.4g} parameters; write it into training: or "
          "into experiments/presets/optimizer.yaml",
          name_of(architecture), target),
      ExitCode::usage);
}

}  // namespace metascale
