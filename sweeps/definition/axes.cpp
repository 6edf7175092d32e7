// axes, zip, exclude and include: which runs there are.
#include <fmt/format.h>

#include <algorithm>

#include "sweeps/definition/parts.hpp"
#include "sweeps/presets.hpp"

namespace metascale::definition {
namespace {

// Enough for any study; a slip of the keyboard asks for more.
constexpr std::size_t most_runs = 100'000;

constexpr std::string_view length_units[] = {"xC", "token", "tokens", "flop", "flops"};

std::vector<std::string> names_of(const std::vector<ArmDefinition>& arms) {
  std::vector<std::string> names;
  for (const ArmDefinition& arm : arms) names.push_back(arm.name);
  return names;
}
std::vector<std::string> names_of(const std::vector<SizeDefinition>& sizes) {
  std::vector<std::string> names;
  for (const SizeDefinition& size : sizes) names.push_back(size.name);
  return names;
}

std::size_t index_of(const YamlNode& node, const std::vector<std::string>& names,
                     const char* what) {
  const std::string name = read_string(node);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw yaml_error(node, fmt::format("unknown {} '{}'", what, name), nearest_of(name, names));
  return std::size_t(found - names.begin());
}

// The index of a value on its axis; a new one is added where grow says so.
enum class Unknown { refuse, add };

std::size_t size_index(Definition& definition, const YamlNode& node, Unknown unknown) {
  const std::vector<std::string> names = names_of(definition.axes.sizes);
  if (node.kind != YamlNode::Kind::map &&
      std::find(names.begin(), names.end(), read_string(node)) != names.end())
    return index_of(node, names, "size");
  if (unknown == Unknown::refuse) return index_of(node, names, "size");
  definition.axes.sizes.push_back(read_size(node));
  if (std::find(names.begin(), names.end(), definition.axes.sizes.back().name) != names.end())
    throw yaml_error(
        node, fmt::format("the size '{}' is there already", definition.axes.sizes.back().name),
        "give each size a name of its own");
  return names.size();
}

std::size_t length_index(Definition& definition, const YamlNode& node, Unknown unknown) {
  const LengthDefinition length = read_length(node);
  std::vector<std::string> labels;
  for (const LengthDefinition& known : definition.axes.lengths) labels.push_back(known.label);
  const auto found = std::find(labels.begin(), labels.end(), length.label);
  if (found != labels.end()) return std::size_t(found - labels.begin());
  if (unknown == Unknown::refuse)
    throw yaml_error(node, fmt::format("unknown length '{}'", length.label),
                     nearest_of(length.label, labels));
  definition.axes.lengths.push_back(length);
  return labels.size();
}

std::size_t seed_index(Definition& definition, const YamlNode& node, Unknown unknown) {
  const std::uint64_t seed = read_unsigned(node);
  auto& seeds = definition.axes.seeds;
  const auto found = std::find(seeds.begin(), seeds.end(), seed);
  if (found != seeds.end()) return std::size_t(found - seeds.begin());
  if (unknown == Unknown::refuse)
    throw yaml_error(node, fmt::format("unknown seed {}", seed), "name a seed of the axes");
  seeds.push_back(seed);
  return seeds.size() - 1;
}

// One axis: how to find a value, and where its index belongs in a cell.
struct Axis {
  const char* name;
  std::size_t (*index)(Definition&, const YamlNode&, Unknown);
  std::size_t GridCell::*member;
};
constexpr Axis axis_table[] = {{"size", size_index, &GridCell::size},
                               {"length", length_index, &GridCell::length},
                               {"seed", seed_index, &GridCell::seed}};

const Axis& axis_of(const YamlNode& node, const std::string& name) {
  std::vector<std::string> names;
  for (const Axis& axis : axis_table) {
    if (name == axis.name) return axis;
    names.push_back(axis.name);
  }
  throw yaml_error(node, fmt::format("unknown axis '{}'", name), nearest_of(name, names));
}

// Axes that run together: one, or those of a zip. rows[i]: the index on each axis.
struct Group {
  std::vector<const Axis*> axes;
  std::vector<std::vector<std::size_t>> rows;
};

void add_values(Definition& definition, Group& group, const Axis& axis, const YamlNode& list) {
  const auto items = read_list(list);
  if (items.empty())
    throw yaml_error(list, "an empty list: there is no run", "name at least one value");
  if (group.axes.empty()) group.rows.resize(items.size());
  if (items.size() != group.rows.size())
    throw yaml_error(list,
                     fmt::format("{} values, but {} beside them", items.size(), group.rows.size()),
                     "zipped lists are of equal length");
  group.axes.push_back(&axis);
  std::vector<std::size_t> seen;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t index = axis.index(definition, items[i], Unknown::add);
    group.rows[i].push_back(index);
    if (std::find(seen.begin(), seen.end(), index) != seen.end() && list.path.starts_with("axes"))
      throw yaml_error(items[i], "this value is in the list twice", "keep one of them");
    seen.push_back(index);
  }
}

std::vector<Group> read_groups(Definition& definition, const YamlNode& axes, const YamlNode* zip) {
  std::vector<Group> groups;
  std::vector<std::string> taken;
  const auto add = [&](Group& group, const YamlNode& map, std::size_t i) {
    const Axis& axis = axis_of(map.items[i], map.keys[i]);
    if (std::find(taken.begin(), taken.end(), axis.name) != taken.end())
      throw yaml_error(map.items[i], fmt::format("the axis '{}' is there already", axis.name),
                       "an axis stands in axes or in one zip");
    taken.push_back(axis.name);
    add_values(definition, group, axis, map.items[i]);
  };
  const YamlMap is_map(axes);
  for (std::size_t i = 0; i < axes.keys.size(); ++i) add(groups.emplace_back(), axes, i);
  for (const YamlNode& item : zip ? read_list(*zip) : std::span<const YamlNode>()) {
    const YamlMap is_zip(item);
    Group& group = groups.emplace_back();
    for (std::size_t i = 0; i < item.keys.size(); ++i) add(group, item, i);
  }
  for (const Axis& axis : axis_table)
    if (std::find(taken.begin(), taken.end(), axis.name) == taken.end())
      throw yaml_error(axes, fmt::format("the axis '{}' is missing", axis.name),
                       fmt::format("add '{}: [...]' here or in zip", axis.name));
  return groups;
}

GrowthExtent read_extent(const YamlNode& node) {
  static constexpr std::string_view units[] = {"x", ""};
  const Quantity quantity = read_quantity(node, units);
  try {
    return parse_growth_extent(fmt::format("{}{}", quantity.value, quantity.unit), node.path);
  } catch (const Error&) {
    throw yaml_error(node, fmt::format("'{}' is no growth", node.text),
                     "write 2x, or the new number");
  }
}

constexpr Named<Scratch> scratch_names[] = {{"total", Scratch::total}, {"added", Scratch::added}};

GrowthDefinition read_growth(Definition& definition, const YamlNode& node, YamlMap& map) {
  GrowthDefinition growth{.place = place_of(map.at("from"))};
  read_map(map.at("from"), [&](YamlMap& from) {
    growth.arm = index_of(from.at("arm"), names_of(definition.arms), "arm");
    growth.size = read_string(from.at("size"));
    growth.length = read_length(from.at("length")).label;
    growth.seed = read_unsigned(from.at("seed"));
  });
  read_map(map.at("grow"), [&](YamlMap& grow) {
    grow.read("parameter_tokens", growth.request.parameter_tokens, read_extent);
    grow.read("heads", growth.request.heads, read_extent);
    grow.read("low_ranks", growth.request.low_ranks, read_extent);
    grow.read("layers", growth.request.layers, read_extent);
  });
  if (growth.request.empty())
    throw yaml_error(node, "nothing grows", "name parameter_tokens, heads, low_ranks or layers");
  map.read("scratch", growth.scratch, [](const YamlNode& at) {
    return read_list_of(
        at, [](const YamlNode& item) { return read_choice(item, scratch_names); },
        OneOrMany::or_one);
  });
  return growth;
}

// A size that only a growth makes: arms that grow alike may share its name.
std::size_t grown_size(Definition& definition, const YamlNode& node, const std::string& name) {
  auto& sizes = definition.axes.sizes;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (sizes[i].name == name) {
      if (sizes[i].is_grown) return i;
      throw yaml_error(node,
                       fmt::format("the size '{}' is there already, and not a grown one", name),
                       "give the grown size a name of its own");
    }
  sizes.push_back({.name = name, .is_grown = true, .place = place_of(node)});
  return sizes.size() - 1;
}

void read_grown(Definition& definition, IncludeDefinition& include, const YamlNode& node,
                YamlMap& map) {
  if (const YamlNode& size = map.at("size"); size.text != "derived")
    throw yaml_error(
        size, fmt::format("'{}', but the size of a grown run comes of its growth", size.text),
        "write size: derived, and if you like a name for it beside: name: medium");
  include.growth = read_growth(definition, node, map);
  std::string name = include.growth->size + ".grown";
  map.read("name", name, read_name);
  include.cell.size = grown_size(definition, node, name);
  auto& seeds = definition.axes.seeds;
  const auto seed = std::find(seeds.begin(), seeds.end(), include.growth->seed);
  include.cell.seed = std::size_t(seed - seeds.begin());
  if (seed == seeds.end())
    throw yaml_error(node, fmt::format("no run has seed {}", include.growth->seed),
                     "name a seed of the axes");
}

}  // namespace

SizeDefinition read_size(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::map) {
    const std::string name = read_string(node);
    for (const SizeDefinition& preset : size_presets())
      if (preset.name == name) {
        SizeDefinition size = preset;
        size.place = place_of(node);
        return size;
      }
    throw yaml_error(node, fmt::format("unknown size '{}'", name),
                     nearest_of(name, names_of(size_presets())) +
                         "; or write {name: 275M, layers: 18, width: 896, target: 275M}");
  }
  SizeDefinition size;
  size.place = place_of(node);
  read_map(node, [&](YamlMap& map) {
    size.name = read_name(map.at("name"));
    size.layers = read_integer(map.at("layers"), 1, 1000);
    size.width = read_integer(map.at("width"), 1, 1 << 20);
    map.read("head_size", size.head_size,
             [](const YamlNode& at) { return read_integer(at, 1, 4096); });
    map.read("target", size.target, [](const YamlNode& at) { return read_number(at, 1, 1e15); });
    map.read("feed_forward", size.feed_forward,
             [](const YamlNode& at) { return read_integer(at, 1, 1 << 26); });
    map.read("training", size.training, read_training);
    if (const YamlNode* probe = map.find("probe")) size.probe_keys = *probe;
  });
  if ((size.target > 0) == (size.feed_forward > 0))
    throw yaml_error(node, "a size has either a target or the baseline's feed_forward",
                     "write target: 275M, or feed_forward: 512");
  if (size.width % size.head_size)
    throw yaml_error(
        node, fmt::format("head_size {} does not divide width {}", size.head_size, size.width),
        "choose a head size that divides the width");
  return size;
}

LengthDefinition read_length(const YamlNode& node) {
  const Quantity quantity = read_quantity(node, length_units);
  LengthDefinition length{.value = quantity.value, .place = place_of(node)};
  if (!(length.value > 0))
    throw yaml_error(node, "a run of no length", "write 1xC, 300B tokens or 1e20 flop");
  length.unit = quantity.unit == "xC"                ? LengthUnit::chinchilla
                : quantity.unit.starts_with("token") ? LengthUnit::tokens
                                                     : LengthUnit::flop;
  for (const char c : node.text)
    if (c != ' ' && c != '+') length.label += c;
  return length;
}

void read_axes(Definition& definition, const YamlNode& axes, const YamlNode* zip) {
  const std::vector<Group> groups = read_groups(definition, axes, zip);
  definition.grid.assign(1, GridCell{});
  for (const char* axis : {"size", "length", "seed"}) {
    for (const Group& group : groups) {
      if (std::string_view(group.axes.front()->name) != axis) continue;
      std::vector<GridCell> next;
      if (definition.grid.size() * group.rows.size() * definition.arms.size() > most_runs)
        throw yaml_error(axes, fmt::format("more than {} runs", most_runs), "shorten the axes");
      for (const GridCell& cell : definition.grid)
        for (const auto& row : group.rows) {
          next.push_back(cell);
          for (std::size_t i = 0; i < row.size(); ++i)
            next.back().*(group.axes[i]->member) = row[i];
        }
      definition.grid = std::move(next);
    }
  }
  std::vector<GridCell> all;
  for (const GridCell& cell : definition.grid)
    for (std::size_t arm = 0; arm < definition.arms.size(); ++arm) {
      all.push_back(cell);
      all.back().arm = arm;
    }
  definition.grid = std::move(all);
}

Selector read_selector(Definition& definition, YamlMap& map) {
  Selector selector{.place = place_of(map.node())};
  if (const YamlNode* node = map.find("arm"))
    selector.arms = read_list_of(
        *node,
        [&](const YamlNode& item) { return index_of(item, names_of(definition.arms), "arm"); },
        OneOrMany::or_one);
  const auto read = [&](const char* key, auto index) {
    const YamlNode* node = map.find(key);
    if (!node) return std::vector<std::size_t>();
    return read_list_of(
        *node, [&](const YamlNode& item) { return index(definition, item, Unknown::refuse); },
        OneOrMany::or_one);
  };
  selector.sizes = read("size", size_index);
  selector.lengths = read("length", length_index);
  selector.seeds = read("seed", seed_index);
  return selector;
}

IncludeDefinition read_include(Definition& definition, const YamlNode& node) {
  IncludeDefinition include;
  include.place = place_of(node);
  read_map(node, [&](YamlMap& map) {
    include.cell.arm = index_of(map.at("arm"), names_of(definition.arms), "arm");
    include.cell.length = length_index(definition, map.at("length"), Unknown::add);
    const YamlNode& size = map.at("size");
    if (size.text == "derived" || map.find("from") || map.find("grow")) {
      read_grown(definition, include, node, map);
    } else {
      include.cell.seed = seed_index(definition, map.at("seed"), Unknown::add);
      include.cell.size = size_index(definition, size, Unknown::add);
      if (definition.axes.sizes[include.cell.size].is_grown)
        throw yaml_error(size, fmt::format("'{}' is the size of a grown run", size.text),
                         "ask for from-scratch runs of its shape there: scratch: [total, added]");
    }
    map.read("training", include.training, read_training);
  });
  return include;
}

}  // namespace metascale::definition
