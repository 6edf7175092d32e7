#include "experiments/probe_settings.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace metascale {
namespace {

constexpr Named<ProbeFiller> filler_names[] = {{"random", ProbeFiller::random},
                                               {"zeros", ProbeFiller::zeros}};
constexpr std::int64_t longest = 1 << 20, most_examples = 1 << 24;

ProbeTask read_task(const YamlNode& node) {
  const std::string word = read_string(node);
  std::vector<std::string> names;
  for (const ProbeTask task : probe_tasks()) {
    if (word == name_of(task)) return task;
    names.push_back(name_of(task));
  }
  throw choice_error(node, names);
}

}  // namespace

ProbeSettings read_probe(const YamlNode& node, const ProbeSettings& under) {
  ProbeSettings probe = under;
  read_map(node, [&](YamlMap& map) {
    ProbeConfig& config = probe.config;
    if (const YamlNode* task = under.exists() ? map.find("task") : &map.at("task"))
      config.task = read_task(*task);
    for (const ProbeParameter& row : probe_parameters())
      if (takes(config.task, row.name))
        map.read(row.name, config.*row.member,
                 [&](const YamlNode& at) { return read_integer(at, row.least, row.most); });
    if (takes(config.task, "power"))
      map.read("power", config.power, [](const YamlNode& at) { return read_number(at, 1e-6, 10); });
    if (takes(config.task, "filler"))
      map.read("filler", config.filler,
               [](const YamlNode& at) { return read_choice(at, filler_names); });
    map.read("test_lengths", probe.test_lengths, [](const YamlNode& at) {
      return read_list_of(at, [](const YamlNode& item) { return read_integer(item, 1, longest); });
    });
    map.read("examples", probe.examples,
             [](const YamlNode& at) { return read_integer(at, 1, most_examples); });
  });
  return probe;
}

std::string to_flow_yaml(const ProbeSettings& probe) {
  std::string text = fmt::format("{{task: {}", name_of(probe.config.task));
  for (const ProbeParameter& row : probe_parameters())
    if (takes(probe.config.task, row.name))
      text += fmt::format(", {}: {}", row.name, probe.config.*row.member);
  if (takes(probe.config.task, "power"))
    text += fmt::format(", power: {}", yaml_number(probe.config.power));
  if (takes(probe.config.task, "filler"))
    text += fmt::format(", filler: {}", name_in(filler_names, probe.config.filler));
  return text + fmt::format(", test_lengths: [{}], examples: {}}}",
                            fmt::join(probe.test_lengths, ", "), probe.examples);
}

std::vector<std::int64_t> tested_lengths(const ProbeSettings& probe, std::int64_t context) {
  std::vector<std::int64_t> lengths = probe.test_lengths;
  lengths.push_back(context);
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return lengths;
}

void check_lengths(const ProbeSettings& probe, std::int64_t context) {
  const Probe task(probe.config);
  for (const std::int64_t length : tested_lengths(probe, context)) task.check_length(length);
}

std::int64_t vocabulary_of(const ProbeSettings& probe) { return Probe(probe.config).vocabulary(); }
std::string identity_of(const ProbeSettings& probe) { return Probe(probe.config).identity(); }

}  // namespace metascale
