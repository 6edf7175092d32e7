// Checkpoints of a run: checkpoints/step-<N>/ with model.safetensors, moments.safetensors
// (optimizer) and checkpoint.json, which holds the training state and each file's size and digest.
// A folder is written aside, synced and renamed; which one is the newest complete is decided by its
// content.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "experiments/config.hpp"
#include "experiments/parameters.hpp"

namespace metascale {

inline constexpr int checkpoint_schema = 1;

// How often in a row a run was rolled back to the same step.
struct RollBacks {
  std::int64_t to = -1;  // none so far
  std::int64_t count = 0;
};

// What a run goes on from, besides its tensors.
struct TrainingState {
  std::int64_t step = 0;
  std::int64_t tokens = 0;
  std::uint64_t digest = 0;          // of the token ids trained on
  std::int64_t skipped_batches = 0;  // left out of the data's order by roll-backs
  RollBacks roll_backs;
  std::int64_t threads = 1;  // these two can change bits, so a resumed run keeps them
  std::int64_t micro_batch = 1;
  std::int64_t ranks = 1;  // changes bits too: a run that goes on with others is marked
  // What computed so far: instructions of the CPU, or the GPU; empty: unknown.
  std::string processor;
  std::string data_fingerprint;  // of the training tokens
};

std::string to_text(const TrainingState& state);  // parse_state gives the same
TrainingState parse_state(const std::string& text);

// Where a model's tensors are on the host: arenas of list.arena_elements() elements each.
struct HostArenas {
  Dtype dtype = Dtype::f32;
  std::byte *values = nullptr, *m = nullptr, *v = nullptr;
};
HostArenas arenas_of(const ParameterMemory& memory);  // that is on the host

class Checkpoints {
 public:
  Checkpoints(const std::filesystem::path& run_folder, const ModelConfig& model);

  // As save and remove_after do, before anything is computed that could not be saved.
  void refuse_link() const;

  // Writes step-<state.step> and removes all but the newest log.keep and those of
  // log.checkpoint_at. Throws Error{io}, Error{bad_input} where checkpoints/ is a symbolic link;
  // what was there before still stands then.
  void save(const TrainingState& state, const ParameterList& list, const HostArenas& arenas,
            const LogConfig& log);
  void save(const TrainingState& state, const ParameterList& list, const ParameterMemory& memory,
            const LogConfig& log) {
    save(state, list, arenas_of(memory), log);
  }

  // The newest one whose files are whole; those that are not, and those whose writing was cut
  // short, are described in `damaged`. Throws Error{bad_input} if it belongs to another
  // architecture or shape. wanted: which steps come into question.
  std::optional<TrainingState> newest(
      std::vector<std::string>* damaged = nullptr,
      const std::function<bool(std::int64_t step)>& wanted = {}) const;
  // That of step-<step>. Throws Error{bad_input} if it is not there or not whole.
  TrainingState state_of(std::int64_t step) const;
  // Reads the tensors of step-<step>. Throws Error{bad_input} naming file and tensor.
  void load(std::int64_t step, const ParameterList& list, ParameterMemory& memory) const;

  // Those of later steps go: the run went back, and must not be gone on with from there. Throws as
  // save does.
  void remove_after(std::int64_t step) const;

  std::filesystem::path folder_of(std::int64_t step) const;

 private:
  void write(const std::filesystem::path& aside, const TrainingState& state,
             const ParameterList& list, const HostArenas& arenas) const;
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
