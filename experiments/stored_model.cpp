#include "experiments/stored_model.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <vector>

#include "experiments/checkpoint.hpp"
#include "experiments/models/model.hpp"
#include "experiments/tensor_file.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;

// "step-0000000024" -> 24; -1: no such name.
std::int64_t step_in(const std::string& name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) return -1;
  std::int64_t step = -1;
  const auto [end, error] =
      std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? step : -1;
}

// A run that is done is not trained again, so that is no way out of damage.
[[noreturn]] void refuse_without_checkpoint(const fs::path& run_folder,
                                            const std::vector<std::string>& damaged) {
  const std::string words =
      damaged.empty()
          ? "; train it first"
          : fmt::format(": {}; put it back from a copy, or train the run anew in another folder",
                        fmt::join(damaged, "; "));
  throw Error(fmt::format("{}: no whole checkpoint{}", run_folder.string(), words),
              ExitCode::bad_input);
}

void expect_path(const fs::path& folder) {
  if (folder.empty())
    throw Error("--out: an empty path names no folder; give the folder to be made",
                ExitCode::usage);
}

}  // namespace

fs::path StoredModel::tensors() const { return folder / "model.safetensors"; }

std::string run_id_of(const fs::path& run_folder) {
  expect_path(run_folder);
  const fs::path whole = fs::absolute(run_folder).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

void expect_free_run_folder(const fs::path& run_folder) {
  expect_path(run_folder);
  std::error_code ignored;  // making the folder says why
  if (!fs::exists(run_folder, ignored)) return;
  const char* what = fs::exists(run_folder / "config.yaml", ignored) ? "a run is there already"
                     : !fs::is_directory(run_folder, ignored)        ? "this is no folder"
                     : !fs::is_empty(run_folder, ignored)            ? "this folder is not empty"
                                                                     : nullptr;
  if (what)
    throw Error(
        fmt::format("{}: {}; give another folder, which is made", run_folder.string(), what),
        ExitCode::usage);
}

StoredModel find_model(const fs::path& path) {
  std::error_code error;
  const fs::path given = fs::canonical(path, error);
  if (error)
    throw Error(fmt::format("{}: {}; give a run folder, or one of its checkpoints/step-<N>",
                            path.string(), error.message()),
                ExitCode::usage);
  const std::int64_t step = step_in(given.filename().string());
  StoredModel stored;
  stored.run_folder = step < 0 ? given : given.parent_path().parent_path();
  if (!fs::exists(stored.run_folder / "config.yaml"))
    throw Error(
        fmt::format("{}: no run folder, it has no config.yaml; give a run folder, one of its "
                    "checkpoints/step-<N>, or import the model first (metascale import)",
                    stored.run_folder.string()),
        ExitCode::usage);
  stored.run = read_run_config(stored.run_folder / "config.yaml");
  const Checkpoints checkpoints(stored.run_folder, stored.run.model);
  std::vector<std::string> damaged;
  const auto state = step < 0 ? checkpoints.newest(&damaged) : checkpoints.state_of(step);
  if (!state) refuse_without_checkpoint(stored.run_folder, damaged);
  stored.step = state->step;
  stored.tokens = state->tokens;
  stored.data_fingerprint = state->data_fingerprint;
  stored.folder = checkpoints.folder_of(state->step);
  return stored;
}

LoadedModel::LoadedModel(const ModelConfig& config, Dtype dtype)
    : model(config), list(parameters_of(config)), memory(list, Device::cpu, dtype) {
  memory.gradients = Buffer();
  memory.m = Buffer();
  memory.v = Buffer();
}

LoadedModel load_model(const StoredModel& stored, Dtype dtype) {
  const SafetensorsFile file(stored.tensors(), Links::refuse);
  const ParameterList wanted = parameters_of(stored.run.model);
  for (const auto& entry : wanted.entries())  // before memory is taken for them
    expect_stored_shape(file.at(entry.spec.name), stored.tensors(), entry.spec.shape);
  LoadedModel loaded(stored.run.model, dtype);
  for (const auto& entry : loaded.list.entries())
    read_tensor(file, file.at(entry.spec.name), stored.tensors(),
                loaded.memory.tensor(loaded.memory.values, entry));
  return loaded;
}

}  // namespace metascale
