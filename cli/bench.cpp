// metascale bench: measured speed on this machine.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench_context.hpp"
#include "cli/bench_gpu.hpp"
#include "cli/command.hpp"
#include "cli/sweep_file.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/plan.hpp"
#include "kernels/cpu_bench.hpp"
#include "sweeps/hours.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct CpuVerb {
  int threads = 1, steps = 10;
  std::vector<std::string> sizes, architectures, precisions;  // empty: all
  bool json = false;

  bool wants_all() const { return sizes.empty() && architectures.empty() && precisions.empty(); }
};

bool wanted(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}
constexpr int dropped_steps = 20, least_steps = 100;  // of bench sweep

struct BenchSweepVerb : SweepFile {
  int steps = 120, threads = 1;
  bool json = false;
};

// About 1M and 10M parameters with a byte vocabulary; head size 64 (32 at 1M).
struct Rung {
  const char* name;
  std::int64_t layers, width, head_size, feed_forward[4], rows;
};
constexpr Rung rungs[] = {{"1M", 4, 128, 32, {512, 344, 512, 512}, 16},
                          {"10M", 6, 384, 64, {1536, 1024, 1344, 1344}, 16}};
constexpr Architecture architectures[] = {Architecture::transformer, Architecture::transformer_pp,
                                          Architecture::rwkv7, Architecture::meta_state};

StepBenchmark benchmark_of(const Rung& rung, std::size_t which, Precision precision,
                           const CpuVerb& verb) {
  StepBenchmark benchmark{.threads = verb.threads, .counted = verb.steps};
  benchmark.model = {.architecture = architectures[which],
                     .layers = rung.layers,
                     .width = rung.width,
                     .vocabulary = 260,
                     .head_size = rung.head_size,
                     .heads = rung.width / rung.head_size,
                     .feed_forward = rung.feed_forward[which]};
  benchmark.training = {.batch_tokens = rung.rows * 256, .context = 256, .precision = precision};
  return benchmark;
}

json bench_steps(const CpuVerb& verb) {
  json rows = json::array();
  if (!verb.json)
    fmt::print("{:<15} {:>6} {:>11} {:>5} {:>12} {:>9} {:>10} {:>10}\n", "architecture", "size",
               "parameters", "type", "tokens/s", "spread", "GFLOP/s", "of GEMM");
  for (const Rung& rung : rungs)
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      for (std::size_t which = 0; which < std::size(architectures); ++which) {
        if (!wanted(verb.sizes, rung.name) || !wanted(verb.precisions, name_of(precision)) ||
            !wanted(verb.architectures, name_of(architectures[which])))
          continue;
        const auto benchmark = benchmark_of(rung, which, precision, verb);
        const Dtype operands = precision == Precision::bf16 ? Dtype::bf16 : Dtype::f32;
        const double gemm = measure_gemm(operands, verb.threads);  // in turn: the machine drifts
        const StepTiming timing = measure_step(benchmark);
        const auto counts = count_model(benchmark.model, benchmark.training.context);
        const double spread =
            (timing.slowest_seconds - timing.fastest_seconds) / timing.median_seconds;
        rows.push_back({{"architecture", name_of(architectures[which])},
                        {"size", rung.name},
                        {"parameters", counts.parameters},
                        {"precision", name_of(precision)},
                        {"tokens_per_second", timing.tokens_per_second},
                        {"spread", spread},
                        {"model_flops_per_second", timing.model_flops_per_second},
                        {"gemm_flops_per_second", gemm}});
        if (!verb.json) {
          fmt::print("{:<15} {:>6} {:>11} {:>5} {:>12.0f} {:>8.0f}% {:>10.1f} {:>9.1f}%\n",
                     name_of(architectures[which]), rung.name, counts.parameters,
                     name_of(precision), timing.tokens_per_second, 100 * spread,
                     1e-9 * timing.model_flops_per_second,
                     100 * timing.model_flops_per_second / gemm);
          std::fflush(stdout);
        }
      }
    }
  return rows;
}

ExitCode run_cpu(const CpuVerb& verb) {
  json result{{"threads", verb.threads}, {"steps", bench_steps(verb)}};
  if (!verb.wants_all()) {
    if (verb.json) fmt::print("{}\n", result.dump(2));
    return ExitCode::good;
  }
  if (!verb.json) fmt::print("\nWKV7 scan, microseconds per head and token, one thread\n");
  for (const std::int64_t N : {32, 64}) {
    const WkvTiming timing = measure_wkv7(N);
    result["wkv7"].push_back({{"head_size", N},
                              {"forward", timing.forward},
                              {"read_out", timing.read_out},
                              {"backward", timing.backward}});
    if (!verb.json)
      fmt::print("  N = {:<3} forward {:.3f}   second read-out {:.3f}   backward {:.3f}\n", N,
                 timing.forward, timing.read_out, timing.backward);
  }
  if (verb.json) fmt::print("{}\n", result.dump(2));
  return ExitCode::good;
}

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
  const auto cpu = std::make_shared<CpuVerb>();
  CLI::App* verb =
      add_verb(*bench, action, "cpu", "training steps at 1M and 10M parameters, and the WKV7 scan",
               "metascale bench cpu --threads 2", cpu, run_cpu);
  verb->add_option("--threads", cpu->threads, "of each step")->check(CLI::PositiveNumber);
  verb->add_option("--steps", cpu->steps, "counted steps")->check(CLI::PositiveNumber);
  std::vector<std::string> sizes, names;
  for (const Rung& rung : rungs) sizes.emplace_back(rung.name);
  for (const Architecture architecture : architectures) names.push_back(name_of(architecture));
  verb->add_option("--size", cpu->sizes, "of these only [both]")->check(CLI::IsMember(sizes));
  verb->add_option("--architecture", cpu->architectures, "of these only [all]")
      ->check(CLI::IsMember(names));
  verb->add_option("--precision", cpu->precisions, "of these only [both]")
      ->check(CLI::IsMember({name_of(Precision::f32), name_of(Precision::bf16)}));
  verb->add_flag("--json", cpu->json, "for machines");

  const auto sweep = std::make_shared<BenchSweepVerb>();
  verb = add_verb(*bench, action, "sweep", "measure each shape of a sweep, for plan's hours",
                  "metascale bench sweep sweeps/quick.yaml", sweep, run_bench_sweep);
  add_sweep_file(*verb, *sweep);
  add_selection(*verb, *sweep);
  verb->add_option("--steps", sweep->steps, "of each shape; the first 20 are dropped")
      ->check(CLI::Range(least_steps, 1'000'000));
  verb->add_option("--threads", sweep->threads, "of each step")->check(CLI::PositiveNumber);
  verb->add_flag("--json", sweep->json, "for machines");
  add_bench_gpu(*bench, action);
  add_bench_context(*bench, action);
}

}  // namespace metascale
