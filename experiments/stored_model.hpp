// A trained model on disk, found by the path that people type, and its values in memory.
#pragma once

#include <filesystem>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

struct StoredModel {
  RunConfig run;
  std::filesystem::path run_folder, folder;  // of the run; of the checkpoint
  std::int64_t step = 0, tokens = 0;         // tokens of its whole lineage
  std::string data_fingerprint;              // of the training tokens; empty: not known

  std::filesystem::path tensors() const;  // its safetensors file
};

// The name of its folder, which a run is called by. Throws Error{usage} for an empty path.
std::string run_id_of(const std::filesystem::path& run_folder);
// Before a run, or a model for others, is made there. Throws Error{usage} unless it is an empty
// folder, or nothing yet.
void expect_free_run_folder(const std::filesystem::path& run_folder);

// path: a run folder, of which the newest whole checkpoint is taken, or one of its
// checkpoints/step-<N>. Throws Error{usage} where it is neither, Error{bad_input} where no
// checkpoint is whole.
StoredModel find_model(const std::filesystem::path& path);

// Values only: no memory for gradients and moments.
struct LoadedModel {
  ModelConfig model;
  ParameterList list;
  ParameterMemory memory;

  LoadedModel(const ModelConfig& model, Dtype dtype);
};

// dtype: f32 or f64. Throws Error{bad_input} naming file and tensor: missing, another shape or
// dtype, a value that is not finite.
LoadedModel load_model(const StoredModel& stored, Dtype dtype);

}  // namespace metascale
