// Checkpoints of a run: checkpoints/step-<N>/ with model.safetensors, moments.safetensors (optimizer) and
// checkpoint.json, which holds the training state and each file's size and digest. A folder is written aside,
// synced and renamed; which one is the newest complete is decided by its content.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

inline constexpr int checkpoint_schema = 1;

// What a run goes on from, besides its tensors.
struct TrainingState {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::uint64_t digest = 0;        // of the token ids trained on
  std::int64_t threads = 1;        // these two can change bits, so a resumed run keeps them
  std::int64_t micro_batch = 1;
  std::string data_fingerprint;    // of the training tokens
};

class Checkpoints {
 public:
  Checkpoints(std::filesystem::path run_folder, const ModelConfig& model);

  // Writes step-<state.step> and removes all but the newest log.keep and those of log.checkpoint_at.
  // Throws Error{io}; what was there before still stands then.
  void save(const TrainingState& state, const ParameterList& list, const ParameterMemory& memory,
            const LogConfig& log);

  // The newest one whose files are whole; those that are not, and those whose writing was cut short, are
  // described in `damaged`.
  // Throws Error{bad_input} if it belongs to another architecture or shape.
  std::optional<TrainingState> newest(std::vector<std::string>* damaged = nullptr) const;
  // That of step-<step>. Throws Error{bad_input} if it is not there or not whole.
  TrainingState state_of(std::int64_t step) const;
  // Reads the tensors of step-<step>. Throws Error{bad_input} naming file and tensor.
  void load(std::int64_t step, const ParameterList& list, ParameterMemory& memory) const;

  std::filesystem::path folder_of(std::int64_t step) const;

 private:
  void write(const std::filesystem::path& aside, const TrainingState& state,
             const ParameterList& list, const ParameterMemory& memory) const;
  std::vector<std::int64_t> steps() const;  // of complete-looking folders, newest first
  std::vector<std::filesystem::path> unfinished() const;  // left by processes that were killed
  TrainingState read_state(std::int64_t step) const;
  void refuse_other_run(const std::filesystem::path& path, const nlohmann::json& document) const;
  void remove_old(std::int64_t saved, const LogConfig& log) const;
  std::filesystem::path folder_;
  std::string identity_;
};

// Everything that decides which tensors a model has and what they mean, as one line of text.
std::string model_identity(const ModelConfig& model);

}  // namespace metascale
