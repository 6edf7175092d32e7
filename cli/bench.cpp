// metascale bench: measured speed on this machine.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench_verbs.hpp"
#include "cli/command.hpp"
#include "cli/sweep_file.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/plan.hpp"
#include "sweeps/hours.hpp"

namespace metascale {
namespace {

using nlohmann::json;

constexpr int dropped_steps = 20, least_steps = 100;  // of bench sweep

struct BenchSweepVerb : SweepFile {
  int steps = 120, threads = 1;
  bool json = false;
};

ExitCode run_bench_sweep(const BenchSweepVerb& verb) {
  const Definition definition = verb.definition();
  const Ledger ledger = verb.ledger(definition);
  StepSeconds seconds(ledger.folder());
  json rows = json::object();
  for (const auto& run : verb.runs(definition, ledger).runs) {
    const std::string shape = shape_of(run.config);
    if (rows.contains(shape)) continue;
    const StepTiming timing = measure_step({.model = run.config.model,
                                            .training = run.config.training,
                                            .threads = verb.threads,
                                            .dropped = dropped_steps,
                                            .counted = verb.steps - dropped_steps});
    seconds.set(run.config, timing.median_seconds);
    rows[shape] = {{"seconds_per_step", timing.median_seconds},
                   {"tokens_per_second", timing.tokens_per_second}};
    if (verb.json) continue;
    fmt::print("{:<32} {:>10.0f} tokens/s\n", shape, timing.tokens_per_second);
    std::fflush(stdout);
  }
  seconds.write();
  if (verb.json)
    fmt::print("{}\n", json{{"threads", verb.threads}, {"shapes", rows}}.dump(2));
  else
    fmt::print("metascale plan {} now knows the hours of {}\n", verb.file.string(),
               verb.only.empty() && verb.skip.empty() ? "its runs" : "these runs");
  return ExitCode::good;
}

}  // namespace

void add_bench_verbs(CLI::App& app, Action& action) {
  CLI::App* bench = app.add_subcommand("bench", "measured speed on this machine");
  bench->require_subcommand(1);
  add_bench_cpu(*bench, action);
  add_bench_gpu(*bench, action);
  const auto sweep = std::make_shared<BenchSweepVerb>();
  CLI::App* verb =
      add_verb(*bench, action, "sweep", "measure each shape of a sweep, for plan's hours",
               "metascale bench sweep sweeps/quick.yaml", sweep, run_bench_sweep);
  add_sweep_file(*verb, *sweep);
  add_selection(*verb, *sweep);
  verb->add_option("--steps", sweep->steps, "of each shape; the first 20 are dropped")
      ->check(CLI::Range(least_steps, 1'000'000));
  verb->add_option("--threads", sweep->threads, "of each step")->check(CLI::PositiveNumber);
  verb->add_flag("--json", sweep->json, "for machines");
  add_bench_context(*bench, action);
  add_bench_step(*bench, action);
}

}  // namespace metascale
