// Where a run starts: a checkpoint of its own, its parent's, or initial values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "experiments/checkpoint.hpp"
#include "experiments/run_context.hpp"

namespace metascale {

struct StartingPoint {
  std::string kind, message;  // of the event that tells of it
};

// Fills the context's parameters, moments and state. start: of a checkpoint of this run; nothing:
// its beginning. All ranks call it; rank 0 alone reads files. Throws Error{bad_input} if the
// parent's checkpoint is not there, or was trained on other data.
StartingPoint load_start(RunContext& context, const RunConfig& config,
                         const std::filesystem::path& run_folder,
                         const std::optional<TrainingState>& start, Communicator& ranks);

// The newest whole checkpoint whose step is wanted, as rank 0 finds it.
std::optional<TrainingState> newest_checkpoint(
    const Checkpoints& checkpoints, Communicator& ranks, std::vector<std::string>* damaged,
    const std::function<bool(std::int64_t step)>& wanted = {});

}  // namespace metascale
