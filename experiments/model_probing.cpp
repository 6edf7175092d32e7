#include "experiments/model_probing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "experiments/probe_evaluation.hpp"

namespace metascale {
namespace {

// Parameters that change how much is asked, and not what an id stands for.
constexpr const char* load_names[] = {"pairs", "power", "filler", "items", "depth"};

void expect_load(const std::string& assignment) {
  const std::string name = assignment.substr(0, assignment.find('='));
  if (std::find(std::begin(load_names), std::end(load_names), name) == std::end(load_names))
    throw Error(fmt::format("--set {}: '{}' is no load of a probe; one of {} can be set",
                            assignment, name, fmt::join(load_names, ", ")),
                ExitCode::usage);
}

ProbeSettings settings_of(const StoredModel& stored, const ModelProbingOptions& options) {
  const RunConfig& run = stored.run;
  if (!run.data.probe.exists())
    throw Error(fmt::format("{}: was trained on {}, not on a probe; give a run of a sweep with "
                            "data.probe, or evaluate it on text (metascale eval)",
                            stored.run_folder.string(), run.data.name),
                ExitCode::usage);
  YamlNode loads{.kind = YamlNode::Kind::map};
  loads.where.file = "--set";
  for (const std::string& assignment : options.loads) {
    expect_load(assignment);
    set_yaml(loads, assignment);
  }
  ProbeSettings probe = read_probe(loads, run.data.probe);
  probe.test_lengths =
      options.lengths.empty() ? tested_lengths(probe, run.training.context) : options.lengths;
  std::sort(probe.test_lengths.begin(), probe.test_lengths.end());
  probe.test_lengths.erase(std::unique(probe.test_lengths.begin(), probe.test_lengths.end()),
                           probe.test_lengths.end());
  if (options.examples > 0) probe.examples = options.examples;
  const Probe task(probe.config);
  for (const std::int64_t length : probe.test_lengths) task.check_length(length);
  return probe;
}

// Forwards of all lengths together.
std::int64_t forwards_of(const RunConfig& run) {
  const auto& lengths = run.data.probe.test_lengths;
  std::int64_t sum = 0;
  for (const ProbeTest& test : probe_tests(run))
    if (std::binary_search(lengths.begin(), lengths.end(), test.length))
      sum += (run.data.probe.examples + test.rows - 1) / test.rows;
  return sum;
}

}  // namespace

ModelProbing probe_model(const StoredModel& stored, const ModelProbingOptions& options) {
  RunConfig run = stored.run;
  run.data.probe = settings_of(stored, options);
  run.evaluation.windows = 0;  // a periodic evaluation takes as many examples
  const Dtype dtype = run.training.precision == Precision::f64 ? Dtype::f64 : Dtype::f32;
  LoadedModel model = load_model(stored, dtype);
  ParameterList list;
  std::unique_ptr<Program> program;
  const auto program_of = [&](std::int64_t rows, std::int64_t context) -> Program& {
    program = std::make_unique<Program>(
        model.model,
        ProgramOptions{.rows = rows,
                       .context = context,
                       .tape = {.dtype = dtype, .training = false, .wkv = run.training.wkv},
                       .logits = true},
        list);
    program->allocate(Device::cpu, model.memory);
    return *program;
  };
  Queue queue;
  queue.cpu.threads = options.threads;
  SingleCommunicator alone;
  std::int64_t done = 0;
  const std::int64_t forwards = forwards_of(run);
  const std::function<bool()> go_on = [&] {
    return options.progress(double(done++) / double(forwards));
  };
  const std::string split = final_split(run);
  auto result =
      evaluate_probe(run, run.data.probe.test_lengths, run.data.probe.examples,
                     probe_seed(split, run.data.order_seed, run.seed),
                     {.queue = queue, .program = program_of, .ranks = alone, .go_on = go_on});
  if (!result)
    throw Error("the probe was stopped before its end; start it again", ExitCode::interrupted);
  result->step = stored.step;
  result->split = split;
  result->is_final = true;
  return {run.data.probe, *result};
}

}  // namespace metascale
