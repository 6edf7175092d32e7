// data.probe of a sweep file and of a run: a probe instead of token files, and how it is tested.
#pragma once

#include <string>
#include <vector>

#include "core/yaml.hpp"
#include "data/probes.hpp"

namespace metascale {

struct ProbeSettings {
  ProbeConfig config;
  std::vector<std::int64_t> test_lengths;  // of the final test, beside the trained one
  std::int64_t examples = 500;             // at each length

  bool exists() const { return config.task != ProbeTask::none; }
  friend bool operator==(const ProbeSettings&, const ProbeSettings&) = default;
};

// The map's keys over those of `under`. A parameter that the task does not have is an unknown key.
// Throws Error{usage} with file:line: key.
ProbeSettings read_probe(const YamlNode& node, const ProbeSettings& under = {});
std::string to_flow_yaml(const ProbeSettings& probe);  // on one line; read_probe gives the same

// Every length at which a run of this context is tested, ascending, each once.
std::vector<std::int64_t> tested_lengths(const ProbeSettings& probe, std::int64_t context);
// Throws Error{usage} where the task has no examples of one of these lengths.
void check_lengths(const ProbeSettings& probe, std::int64_t context);

std::int64_t vocabulary_of(const ProbeSettings& probe);
std::string identity_of(const ProbeSettings& probe);  // of what is trained on; not of the test

}  // namespace metascale
