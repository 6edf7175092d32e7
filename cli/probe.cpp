// metascale probe: what a model that was trained on a probe answers at other lengths and loads.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "core/progress.hpp"
#include "experiments/model_probing.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct ProbeVerb {
  std::filesystem::path checkpoint;
  ModelProbingOptions probing;
  bool distances = false, json = false;
};

// All distances of one length together.
ProbeRow row_of_length(const Evaluation& evaluation, std::int64_t length) {
  ProbeRow sum{.length = length};
  for (const ProbeRow& row : evaluation.probes) {
    if (row.length != length) continue;
    sum.scored += row.scored, sum.correct += row.correct, sum.nats += row.nats;
    sum.last = row.last, sum.examples = row.examples, sum.solved = row.solved;  // up to `last`
  }
  return sum;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? double(part) / double(whole) : 0;
}

json to_json(const ProbeRow& row) {
  return {{"length", row.length},     {"scored", row.scored},
          {"correct", row.correct},   {"accuracy", share(row.correct, row.scored)},
          {"examples", row.examples}, {"solved", row.solved},
          {"nats", row.nats}};
}

json to_json(const ModelProbing& result, const StoredModel& stored) {
  const Probe probe(result.probe.config);
  json lengths = json::array(), distances = json::array();
  for (const std::int64_t length : result.probe.test_lengths)
    lengths.push_back(to_json(row_of_length(result.evaluation, length)));
  for (const ProbeRow& row : result.evaluation.probes) {
    distances.push_back(to_json(row));
    distances.back()["first"] = row.first;
    distances.back()["last"] = row.last;
  }
  return {{"run", stored.run.id},
          {"step", stored.step},
          {"probe", probe.identity()},
          {"trained_length", stored.run.training.context},
          {"split", result.evaluation.split},
          {"uniform_guess", probe.chance()},
          {"lengths", lengths},
          {"distances", distances}};
}

void print_distances(const Evaluation& evaluation) {
  fmt::print("\n{:>8} {:>24} {:>12} {:>10}\n", "length", "distance to the evidence", "answers",
             "accuracy");
  for (const ProbeRow& row : evaluation.probes)
    if (row.scored > 0)
      fmt::print("{:>8} {:>24} {:>12} {:>10.4f}\n", row.length,
                 fmt::format("{} - {}", row.first, row.last), row.scored,
                 share(row.correct, row.scored));
}

void print(const ModelProbing& result, const StoredModel& stored, bool distances) {
  const Probe probe(result.probe.config);
  const std::int64_t context = stored.run.training.context;
  fmt::print("{} at step {}, {}, trained on {} tokens, uniform guess {:.4f}\n\n", stored.run.id,
             stored.step, probe.identity(), context, probe.chance());
  fmt::print("{:>8} {:>10} {:>12} {:>10} {:>18} {:>16}\n", "length", "examples", "answers",
             "accuracy", "without a mistake", "nats per answer");
  for (const std::int64_t length : result.probe.test_lengths) {
    const ProbeRow row = row_of_length(result.evaluation, length);
    fmt::print("{:>8} {:>10} {:>12} {:>10.4f} {:>18.4f} {:>16.4f}{}\n", length, row.examples,
               row.scored, share(row.correct, row.scored), share(row.solved, row.examples),
               row.nats / double(std::max<std::int64_t>(1, row.scored)),
               length == context ? "  trained" : "");
  }
  if (distances) print_distances(result.evaluation);
}

ExitCode run_probe(const ProbeVerb& verb) {
  const StoredModel stored = find_model(verb.checkpoint);
  ModelProbingOptions options = verb.probing;
  if (options.threads == 0) options.threads = int(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  catch_stop_signals();
  Progress progress;
  const int bar = progress.add(stored.run.id);
  options.progress = [&](double part) {
    progress.update(bar, part, "probe");
    return stop_request() == StopRequest::none;
  };
  const ModelProbing result = probe_model(stored, options);
  progress.finish(bar, "done");
  if (verb.json)
    print_json_line(to_json(result, stored));
  else
    print(result, stored, verb.distances);
  return ExitCode::good;
}

}  // namespace

void add_probe_verb(CLI::App& app, Action& action) {
  const auto options = std::make_shared<ProbeVerb>();
  options->probing.threads = 0;
  CLI::App* verb = add_verb(
      app, action, "probe", "accuracy of a model that was trained on a probe, at any length",
      "metascale probe results/probes/runs/my-run --test-lengths 32,64 --set pairs=16", options,
      run_probe);
  verb->add_option("checkpoint", options->checkpoint,
                   "run folder, or one of its checkpoints/step-N")
      ->required();
  verb->add_option("--test-lengths", options->probing.lengths,
                   "tokens of an example, several with commas [those of the run's final test]")
      ->delimiter(',')
      ->check(CLI::Range(std::int64_t(1), std::int64_t(1) << 20));
  verb->add_option("--examples", options->probing.examples,
                   "of each length [as many as in the run's final test]")
      ->check(CLI::Range(std::int64_t(1), std::int64_t(1) << 24));
  verb->add_option("--set", options->probing.loads,
                   "another load: pairs, power, filler, items or depth, as pairs=16");
  verb->add_option("--threads", options->probing.threads, "0: as many as there are processors")
      ->check(CLI::Range(0, 4096));
  verb->add_flag("--distances", options->distances, "accuracy by distance to the evidence too");
  verb->add_flag("--json", options->json, "for machines");
}

}  // namespace metascale
