// How the parts of a sweep file are read. Each reader takes the value of one top-level key.
#pragma once

#include "sweeps/definition.hpp"

namespace metascale::definition {

// A name that becomes part of a run's id: letters, digits, '.' and '_'.
std::string read_name(const YamlNode& node);
std::string check_name(const YamlNode& node, const std::string& name);
Period read_interval(const YamlNode& node);
std::int64_t read_all_or_count(const YamlNode& node);  // "all" is 0, or "64 windows"

TrainingSettings read_training(const YamlNode& node);
ArmDefinition read_arm(const std::string& name, const YamlNode& node);
MatchDefinition read_match(const YamlNode& node);
SizeDefinition read_size(const YamlNode& node);
LengthDefinition read_length(const YamlNode& node);

// axes, zip: what there is, and the grid of it.
void read_axes(Definition& definition, const YamlNode& axes, const YamlNode* zip);
// Takes the keys arm, size, length and seed from map; the axes must have been read.
Selector read_selector(Definition& definition, YamlMap& map);
IncludeDefinition read_include(Definition& definition, const YamlNode& node);

DataDefinition read_data(const YamlNode& node);
// Every size's probe, once axes and data are read.
void read_probes_of_sizes(Definition& definition);
EvaluationDefinition read_evaluation(const YamlNode& node);
LogDefinition read_log(const YamlNode& node);
ResourcesDefinition read_resources(Definition& definition, const YamlNode& node);
// resources: those of the sweep, which have been read.
LaunchDefinition read_launch(const YamlNode& node, const ResourcesDefinition& resources);
PolicyDefinition read_policy(const YamlNode& node);
BudgetDefinition read_budget(const YamlNode& node);
AnalysisDefinition read_analysis(const YamlNode& node);

}  // namespace metascale::definition
