#include "experiments/training/starting_point.hpp"

#include <fmt/format.h>

#include <cstring>

#include "experiments/grown_checkpoint.hpp"
#include "experiments/lineage.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// How this attempt computes; the rest of a state is what has been computed.
TrainingState with_machine_of(TrainingState state, const TrainingState& here) {
  state.threads = here.threads;
  state.micro_batch = here.micro_batch;
  state.ranks = here.ranks;
  state.processor = here.processor;
  if (is_of_import(state)) state.data_fingerprint = here.data_fingerprint;
  return state;
}

Checkpoints checkpoints_of_parent(const RunConfig& config, const fs::path& run_folder) {
  const fs::path runs = fs::canonical(run_folder).parent_path();  // however run_folder is written
  return Checkpoints(runs / config.parent.run,
                     grows_from_parent(config)
                         ? model_of_generation(config, config.lineage.size() - 1)
                         : config.model);
}

// A branch, or a grown run: the parent's tensors, step and place in the data.
TrainingState read_parent(RunContext& context, const RunConfig& config,
                          const fs::path& run_folder) {
  const Checkpoints parent = checkpoints_of_parent(config, run_folder);
  TrainingState state = parent.state_of(config.parent.step);
  state.roll_backs = {};  // those of the parent are not this run's
  if (!is_of_import(state) && state.data_fingerprint != context.state.data_fingerprint)
    throw Error(
        fmt::format("{}: not the tokens that the trunk {} was trained on (fingerprint {}, trunk "
                    "{}); a branch goes on with its trunk's data",
                    config.data.train.string(), config.parent.run, context.state.data_fingerprint,
                    state.data_fingerprint),
        ExitCode::bad_input);
  if (grows_from_parent(config))
    load_grown(parent, config, context.parameters(), context.memory());
  else
    parent.load(config.parent.step, context.parameters(), context.memory());
  return state;
}

TrainingState read_beginning(RunContext& context, const RunConfig& config,
                             const fs::path& run_folder) {
  if (!config.parent.run.empty()) return read_parent(context, config, run_folder);
  ParameterMemory& memory = context.memory();
  initialise(context.parameters(), memory, config.seed);
  for (const Buffer* moments : {&memory.m, &memory.v})  // not zero after a roll-back
    std::memset(moments->data(), 0, moments->bytes());
  return {.data_fingerprint = context.state.data_fingerprint};
}

StartingPoint described(const RunContext& context, const RunConfig& config,
                        const std::optional<TrainingState>& start) {
  if (start) return {"resume", fmt::format("from step {}", start->step)};
  if (!config.parent.run.empty())
    return {"start",
            fmt::format("{} {} at step {}", grows_from_parent(config) ? "grown from" : "branch of",
                        config.parent.run, config.parent.step)};
  return {"start", fmt::format("{} parameters, {} steps", context.parameters().count(),
                               config.training.steps)};
}

}  // namespace

StartingPoint load_start(RunContext& context, const RunConfig& config, const fs::path& run_folder,
                         const std::optional<TrainingState>& start, Communicator& ranks) {
  TrainingState state = start.value_or(TrainingState{});
  if (ranks.rank() == 0)
    ranks.keep_others_waiting([&] {
      if (start)
        Checkpoints(run_folder, config.model)
            .load(start->step, context.parameters(), context.memory());
      else
        state = read_beginning(context, config, run_folder);
    });
  state = parse_state(broadcast_text(ranks, to_text(state), 0));
  context.state = with_machine_of(state, context.state);
  context.parameters_changed();
  return described(context, config, start);
}

std::optional<TrainingState> newest_checkpoint(const Checkpoints& checkpoints, Communicator& ranks,
                                               std::vector<std::string>* damaged,
                                               const std::function<bool(std::int64_t)>& wanted) {
  std::string text;
  if (ranks.rank() == 0)
    ranks.keep_others_waiting([&] {
      checkpoints.refuse_link();
      if (const auto found = checkpoints.newest(damaged, wanted)) text = to_text(*found);
    });
  text = broadcast_text(ranks, text, 0);
  if (text.empty()) return std::nullopt;
  return parse_state(text);
}

}  // namespace metascale
