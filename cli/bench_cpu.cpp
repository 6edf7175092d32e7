// metascale bench cpu: whole training steps, every operator and the WKV7 scan on this processor.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench_verbs.hpp"
#include "cli/choice.hpp"
#include "cli/operator_table.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/plan.hpp"
#include "experiments/run_programs.hpp"
#include "kernels/cpu_bench.hpp"

namespace metascale {
namespace {

using nlohmann::json;

constexpr std::int64_t windows = 16, context = 256;  // of a step

struct CpuVerb {
  int threads = 1, steps = 10;
  std::int64_t micro_batch = automatic_micro_batch(Device::cpu, windows, context);
  std::vector<std::string> sizes, architectures, precisions;  // empty: all
  BenchTable table = BenchTable::both;
  std::string family;
  bool json = false;

  // Who names a model and no table means its steps; who names a family, its operators.
  bool wants_steps() const {
    if (table != BenchTable::both) return table == BenchTable::steps;
    return family.empty();
  }
  bool wants_operators() const {
    if (table != BenchTable::both) return table == BenchTable::operators;
    return !family.empty() || (sizes.empty() && architectures.empty());
  }
};

// About 1M and 10M parameters with a byte vocabulary; head size 64 (32 at 1M).
struct Rung {
  const char* name;
  std::int64_t layers, width, head_size, feed_forward[4];
};
constexpr Rung rungs[] = {{"1M", 4, 128, 32, {512, 344, 512, 512}},
                          {"10M", 6, 384, 64, {1536, 1024, 1344, 1344}}};
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
  benchmark.training = {.batch_tokens = windows * context,
                        .micro_batch = verb.micro_batch,
                        .context = context,
                        .precision = precision};
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
        if (!is_wanted(verb.sizes, rung.name) || !is_wanted(verb.precisions, name_of(precision)) ||
            !is_wanted(verb.architectures, name_of(architectures[which])))
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

json bench_operators(const CpuVerb& verb) {
  json tables = json::array();
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    if (!is_wanted(verb.precisions, name_of(precision))) continue;
    const bool bf16 = precision == Precision::bf16;
    const CpuQueue cpu{.threads = verb.threads};
    const DeviceRates rates = measure_rates(cpu, bf16);
    if (!verb.json)
      fmt::print("{}operators of a 10M model, 8 x 256 tokens, products in {}\n",
                 tables.empty() ? "" : "\n", name_of(precision));
    OperatorTable table{.prints = !verb.json};
    table.begin(rates);
    measure_operators(cpu, {.storage = Dtype::f32, .bf16_products = bf16, .part = verb.family},
                      rates, [&](const OperatorResult& row) { table.add(row); });
    if (table.rows.empty())
      throw Error(fmt::format("--family {}: no operator's name holds this", verb.family),
                  ExitCode::usage);
    tables.push_back({{"products", name_of(precision)},
                      {"copy_bytes_per_second", rates.copy_bytes_per_second},
                      {"product_flops_per_second", rates.product_flops_per_second},
                      {"operators", std::move(table.rows)}});
  }
  return tables;
}

json bench_wkv7(const CpuVerb& verb) {
  json rows = json::array();
  if (!verb.json) fmt::print("\nWKV7 scan, microseconds per head and token, one thread\n");
  for (const std::int64_t N : {32, 64}) {
    const WkvTiming timing = measure_wkv7(N);
    rows.push_back({{"head_size", N},
                    {"forward", timing.forward},
                    {"read_out", timing.read_out},
                    {"backward", timing.backward}});
    if (!verb.json)
      fmt::print("  N = {:<3} forward {:.3f}   second read-out {:.3f}   backward {:.3f}\n", N,
                 timing.forward, timing.read_out, timing.backward);
  }
  return rows;
}

ExitCode run_cpu(const CpuVerb& verb) {
  json result{{"threads", verb.threads}, {"micro_batch", verb.micro_batch}};
  if (verb.wants_steps()) result["steps"] = bench_steps(verb);
  if (verb.wants_operators()) {
    if (!verb.json && result.contains("steps")) fmt::print("\n");
    result["operators"] = bench_operators(verb);
    if (verb.family.empty()) result["wkv7"] = bench_wkv7(verb);
  }
  if (verb.json) fmt::print("{}\n", result.dump(2));
  return ExitCode::good;
}

}  // namespace

void add_bench_cpu(CLI::App& bench, Action& action) {
  const auto cpu = std::make_shared<CpuVerb>();
  CLI::App* verb =
      add_verb(bench, action, "cpu",
               "training steps at 1M and 10M parameters, and every operator, on the CPU",
               "metascale bench cpu --threads 2", cpu, run_cpu);
  verb->add_option("--threads", cpu->threads, "of each step and operator")
      ->check(CLI::PositiveNumber);
  verb->add_option("--steps", cpu->steps, "counted steps")->check(CLI::PositiveNumber);
  add_choice(*verb, "--only", cpu->table, bench_table_names, "table");
  verb->add_option("--family", cpu->family, "operators of families whose name holds this [all]");
  verb->add_option("--micro-batch", cpu->micro_batch, "windows of a forward, of a step's 16")
      ->check(CLI::IsMember({1, 2, 4, 8, 16}));
  std::vector<std::string> sizes, names;
  for (const Rung& rung : rungs) sizes.emplace_back(rung.name);
  for (const Architecture architecture : architectures) names.push_back(name_of(architecture));
  verb->add_option("--size", cpu->sizes, "of these only [both]")->check(CLI::IsMember(sizes));
  verb->add_option("--architecture", cpu->architectures, "of these only [all]")
      ->check(CLI::IsMember(names));
  verb->add_option("--precision", cpu->precisions, "of these only [both]")
      ->check(CLI::IsMember({name_of(Precision::f32), name_of(Precision::bf16)}));
  verb->add_flag("--json", cpu->json, "for machines");
}

}  // namespace metascale
