// A grown run begins with its parent's checkpoint, grown.
#pragma once

#include "experiments/checkpoint.hpp"
#include "experiments/growth_request.hpp"
#include "experiments/stored_model.hpp"

namespace metascale {

// Whether this is the state of a model that came in [experiments/exchange.hpp], before a step was
// made with it: it has seen no tokens of ours, so that any may follow.
inline bool is_of_import(const TrainingState& state) {
  return state.step == 0 && state.data_fingerprint.empty();
}

// Fills list's values and moments from the checkpoint that run.parent names: what the parent had
// keeps both, what is new starts by its rule with moments of 0. Returns the parent's training
// state, from which the run goes on. Throws Error{bad_input} where the checkpoint does not fit the
// lineage.
TrainingState load_grown(const Checkpoints& parent, const RunConfig& run, const ParameterList& list,
                         ParameterMemory& memory);

struct GrowOptions {
  GrowthRequest request;
  std::vector<std::int64_t> insert_after;  // of new blocks; empty: evenly spread
  std::int64_t steps = 0;  // that the grown run trains; 0: as many as its parent's own
  double new_learning_rate = 1, new_weight_decay = 1;  // multipliers of what is new
};

// The configuration of a run that grows out of this checkpoint, an import's too: its parent's, with
// a larger model and a schedule that begins anew. Throws Error{usage} where it cannot grow so.
RunConfig grown_run(const StoredModel& parent, const GrowOptions& options, const std::string& id);

// Writes the run folder of that configuration: config.yaml and the grown checkpoint. Throws
// Error{usage} where anything is in it, and as load_grown does.
void write_grown_run(const StoredModel& parent, const RunConfig& run,
                     const std::filesystem::path& run_folder);

}  // namespace metascale
