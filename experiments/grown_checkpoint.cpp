#include "experiments/grown_checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/atomic_file.hpp"
#include "core/random.hpp"
#include "experiments/growth.hpp"
#include "experiments/lineage.hpp"
#include "experiments/models/model.hpp"
#include "experiments/plan.hpp"
#include "experiments/tensor_file.hpp"

namespace metascale {
namespace {

Growth::Reader reader_of(const ParameterList& list, const ParameterMemory& memory,
                         const Buffer& arena) {
  return [&](const std::string& name) {
    const Tensor tensor = memory.tensor(arena, list.find(name));
    return with_float_type(memory.dtype, [&]<typename T>() {
      const T* values = tensor.pointer<T>();
      return std::vector<double>(values, values + tensor.size());
    });
  };
}

// NaN passes through growth into a run that could only fail.
void check_arena(const std::filesystem::path& path, const std::string& prefix,
                 const ParameterList& list, const ParameterMemory& memory, const Buffer& arena) {
  const Growth::Reader read = reader_of(list, memory, arena);
  for (const auto& entry : list.entries())
    expect_finite(read(entry.spec.name), path, prefix + entry.spec.name);
}

void write(const std::vector<double>& values, const Tensor& target) {
  with_float_type(target.dtype, [&]<typename T>() {
    std::transform(values.begin(), values.end(), target.pointer<T>(),
                   [](double value) { return T(value); });
  });
}

}  // namespace

TrainingState load_grown(const Checkpoints& parent, const RunConfig& run, const ParameterList& list,
                         ParameterMemory& memory) {
  const std::size_t last = run.lineage.size() - 1;
  const Ancestor& ancestor = run.lineage[last];
  TrainingState state = parent.state_of(ancestor.step);
  if (state.tokens != ancestor.step * run.training.batch_tokens)
    throw Error(
        fmt::format("{} saw {} tokens in {} steps, but this run's batches have {}; a grown run "
                    "keeps its parent's training.batch_tokens",
                    ancestor.run, state.tokens, ancestor.step, run.training.batch_tokens),
        ExitCode::bad_input);
  const ParameterList old = parameters_of(model_of_generation(run, last));
  ParameterMemory from(old, Device::cpu, memory.dtype);
  parent.load(ancestor.step, old, from);
  const std::filesystem::path moments = parent.folder_of(ancestor.step) / "moments.safetensors";
  check_arena(parent.folder_of(ancestor.step) / "model.safetensors", "", old, from, from.values);
  check_arena(moments, "m.", old, from, from.m);
  check_arena(moments, "v.", old, from, from.v);
  // Each growth of a lineage draws numbers of its own.
  const std::uint64_t seed =
      RandomStream(run.seed, stream_of("growth")).bits(std::uint64_t(ancestor.step));
  const Growth growth(model_of_generation(run, last), run.model, ancestor.insert_after, seed);
  for (const auto& entry : list.entries()) {
    const std::string& name = entry.spec.name;
    write(growth.values(name, reader_of(old, from, from.values)),
          memory.tensor(memory.values, entry));
    write(growth.moments(name, reader_of(old, from, from.m)), memory.tensor(memory.m, entry));
    write(growth.moments(name, reader_of(old, from, from.v)), memory.tensor(memory.v, entry));
  }
  return state;
}

RunConfig grown_run(const StoredModel& parent, const GrowOptions& options, const std::string& id) {
  // At step 0, as an import is, nothing is older than what grows now [experiments/birth.hpp].
  if (parent.step == 0 && (options.new_learning_rate != 1 || options.new_weight_decay != 1))
    throw Error(
        fmt::format("{}: all of a model that grows at step 0 is new to its training, so that what "
                    "the growth adds has no rate or decay of its own; leave --new-learning-rate "
                    "and --new-weight-decay out",
                    parent.folder.string()),
        ExitCode::usage);
  RunConfig run = parent.run;
  run.id = id;
  run.size += ".grown";
  run.role = Role::run;
  run.model = grown_model(parent.run.model, options.request);
  const std::int64_t added = run.model.layers - parent.run.model.layers;
  if (added == 0 && !options.insert_after.empty())
    throw Error(
        fmt::format("--insert-after: {} says where new blocks go, but none is added; ask for more "
                    "--layers, or leave it out",
                    fmt::join(options.insert_after, " ")),
        ExitCode::usage);
  run.lineage.push_back(ancestor_of(parent.run, parent.step,
                                    options.insert_after.empty()
                                        ? even_insertion(parent.run.model.layers, added)
                                        : options.insert_after));
  const std::int64_t own_steps =
      parent.run.training.steps - parent.run.training.schedule.first_step;
  run.parent = {.run = parent.run.id, .step = parent.step};
  run.training.steps = parent.step + (options.steps ? options.steps : own_steps);
  run.training.schedule.first_step = parent.step;
  run.training.optimizer.new_learning_rate = options.new_learning_rate;
  run.training.optimizer.new_weight_decay = options.new_weight_decay;
  run.log.checkpoint_at.clear();
  // Whatever its parent was matched on, a grown model is matched with its own shape only.
  run.match["match_on"] = "parameters";
  run.match["match_value"] =
      fmt::format("{}", count_model(run.model, run.training.context).parameters);
  run.match.erase("match_target");  // the parent's: this model aims at none
  // An import is of no sweep, which would say what its training is matched in: in nothing.
  run.match.try_emplace("schedule", fmt::format("of {} alone", id));
  run.match.try_emplace("match_tolerance", "0%");
  // No file has these lines yet; the parent's is not at fault.
  return parse_run_config(to_yaml(run), fmt::format("the grown run '{}'", id));
}

void write_grown_run(const StoredModel& parent, const RunConfig& run,
                     const std::filesystem::path& run_folder) {
  expect_free_run_folder(run_folder);
  const ParameterList list = parameters_of(run.model);
  ParameterMemory memory(list, Device::cpu,
                         run.training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32);
  const TrainingState state =
      load_grown(Checkpoints(parent.run_folder, parent.run.model), run, list, memory);
  std::error_code error;
  std::filesystem::create_directories(run_folder, error);
  if (error)
    throw Error(fmt::format("{}: cannot be created: {}", run_folder.string(), error.message()),
                ExitCode::io);
  Checkpoints(run_folder, run.model).save(state, list, memory, run.log);
  write_file_atomically(run_folder / "config.yaml", to_yaml(run));  // last: now it is whole
}

}  // namespace metascale
