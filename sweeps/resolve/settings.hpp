// The training settings of one run: what the sweep, the size and the arm say, over the presets.
#pragma once

#include "experiments/plan.hpp"
#include "sweeps/definition.hpp"

namespace metascale::resolving {

// Arms may differ in the optimizer's rates only; anything else breaks the match and is refused.
void check_arms(const Definition& definition);

TrainingSettings settings_of(const Definition& definition, const ArmDefinition& arm,
                             const SizeDefinition& size);
std::int64_t context_of(const Definition& definition, const SizeDefinition& size);
// batch_tokens in whole windows of the context: the nearest, where that moves it by less than 1%.
std::int64_t whole_windows(const Definition& definition, const TrainingSettings& settings);

OptimizerConfig optimizer_of(const TrainingSettings& settings, Architecture architecture,
                             const SizeDefinition& size);
TrainingConfig training_of(const Definition& definition, const TrainingSettings& settings,
                           std::int64_t steps, Architecture architecture,
                           const SizeDefinition& size);

double optimizer_value(const OptimizerConfig& optimizer, const std::string& key);
void set_optimizer_value(TrainingSettings& settings, const std::string& key, double value);

// Tokens of a length, before they are rounded to batches.
double tokens_of(const LengthDefinition& length, const ModelCounts& baseline);
// Steps of so many tokens: the nearest whole number. Throws Error{usage} at place where that is
// another length (by more than 2%: never of 25 steps or more), naming the nearest possible one.
std::int64_t whole_steps(double tokens, std::int64_t batch_tokens, const Place& place);
std::size_t tuning_size(const Definition& definition);  // index into axes.sizes
std::size_t shortest_length(const Definition& definition, const std::vector<GridCell>& cells,
                            const ModelCounts& baseline);

}  // namespace metascale::resolving
