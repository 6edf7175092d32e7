// metascale bench gpu: every operator, and whole training steps, on this machine's GPU.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench_verbs.hpp"
#include "cli/choice.hpp"
#include "cli/operator_table.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/config_tables.hpp"
#include "experiments/matching.hpp"
#include "experiments/plan.hpp"
#include "kernels/operator_bench.hpp"
#include "sweeps/presets.hpp"

namespace metascale {
namespace {

using nlohmann::json;

constexpr Architecture architectures[] = {Architecture::transformer, Architecture::transformer_pp,
                                          Architecture::rwkv7, Architecture::meta_state};
constexpr std::int64_t vocabulary = 50304;
constexpr double gib = double(std::int64_t(1) << 30);

struct GpuVerb {
  bool json = false, check = false, f32 = false, cuda_graph = false;
  std::string algorithm_file;  // "": the library's first proposals
  BenchTable table = BenchTable::both;
  std::string family;
  std::vector<std::string> sizes, architectures;  // empty: all
  std::int64_t batch = 16, context = 2048;
  int steps = 20;
  Recompute recompute = Recompute::none;
  WkvForm wkv = WkvForm::automatic;
  LowRankForm low_rank = LowRankForm::separate;
  double peak_teraflops = 989;

  bool wants(BenchTable one) const { return table == BenchTable::both || table == one; }
};

// Returns how many operators are further from the CPU than rounding explains.
int bench_operators(const GpuVerb& verb, const Gpu& gpu, json& result) {
  const Dtype storage = verb.f32 ? Dtype::f32 : Dtype::bf16;
  DeviceRates rates;
  if (!verb.check) {
    rates = measure_rates(gpu, storage);
    result["copy_bytes_per_second"] = rates.copy_bytes_per_second;
    result["product_flops_per_second"] = rates.product_flops_per_second;
  }
  OperatorTable table{.prints = !verb.json, .of_gpu = true, .has_times = !verb.check};
  table.begin(rates);
  int far = 0;
  measure_operators(gpu, {.only_distances = verb.check, .storage = storage, .part = verb.family},
                    rates, [&](const OperatorResult& row) {
                      far += row.close ? 0 : 1;
                      table.add(row);
                    });
  result["operators"] = std::move(table.rows);
  return far;
}

// The architectures of a size, matched in parameters.
std::vector<ModelConfig> models_of(const SizeDefinition& size, std::int64_t context) {
  std::vector<MatchArm> arms;
  for (const Architecture architecture : architectures)
    arms.push_back({name_of(architecture),
                    {.architecture = architecture,
                     .layers = size.layers,
                     .width = size.width,
                     .vocabulary = vocabulary,
                     .head_size = size.head_size,
                     .heads = size.width / size.head_size}});
  return match_arms(arms, {.target = size.target, .context = context}).models;
}

void bench_model(const GpuVerb& verb, const Gpu& gpu, const std::string& size,
                 const ModelConfig& model, json& rows) {
  const TrainingConfig training{.batch_tokens = verb.batch * verb.context,
                                .context = verb.context,
                                .precision = verb.f32 ? Precision::f32 : Precision::bf16,
                                .recompute = verb.recompute,
                                .wkv = verb.wkv,
                                .low_rank = verb.low_rank,
                                .cuda_graph = verb.cuda_graph};
  json row{{"size", size},
           {"architecture", name_of(model.architecture)},
           {"parameters", count_model(model, verb.context).parameters},
           {"layers", model.layers},
           {"width", model.width},
           {"heads", model.heads},
           {"feed_forward", model.feed_forward}};
  try {
    const StepTiming timing =
        measure_step({.model = model, .training = training, .gpu = &gpu, .counted = verb.steps});
    row["tokens_per_second"] = timing.tokens_per_second;
    row["model_flops_per_second"] = timing.model_flops_per_second;
    row["mfu"] = timing.model_flops_per_second / (1e12 * verb.peak_teraflops);
    row["memory_bytes"] = timing.memory_bytes;
    if (!verb.json)
      fmt::print("{:<6} {:<15} {:>14} {:>12.0f} {:>9.1f} {:>6.1f}% {:>9.1f}\n", size,
                 name_of(model.architecture), row["parameters"].get<std::int64_t>(),
                 timing.tokens_per_second, 1e-12 * timing.model_flops_per_second,
                 100 * row["mfu"].get<double>(), double(timing.memory_bytes) / gib);
  } catch (const Error& error) {
    gpu.wait();  // throws where it is the GPU that failed, and not its memory that was too little
    row["not_measured"] = error.what();
    if (!verb.json)
      fmt::print("{:<6} {:<15} not measured: {}\n", size, name_of(model.architecture),
                 error.what());
  }
  std::fflush(stdout);
  rows.push_back(row);
}

void bench_steps(const GpuVerb& verb, const Gpu& gpu, json& result) {
  const std::string rule = fmt::format(
      "model FLOPs per token: 3 x forward, forward = 2 x entries of matrices with the head and "
      "without "
      "the embedding, plus attention or state (docs/model.md); MFU over {} TFLOP/s",
      verb.peak_teraflops);
  result["flop_rule"] = rule;
  result["batch"] = verb.batch;
  result["context"] = verb.context;
  result["vocabulary"] = vocabulary;
  result["steps"] = json::array();
  if (!verb.json)
    fmt::print("\nsteps of {} x {} tokens; {}\n{:<6} {:<15} {:>14} {:>12} {:>9} {:>7} {:>9}\n",
               verb.batch, verb.context, rule, "size", "architecture", "parameters", "tokens/s",
               "TFLOP/s", "MFU", "GiB");
  for (const SizeDefinition& size : size_presets()) {
    if (!is_wanted(verb.sizes, size.name)) continue;
    for (const ModelConfig& model : models_of(size, verb.context))
      if (is_wanted(verb.architectures, name_of(model.architecture)))
        bench_model(verb, gpu, size.name, model, result["steps"]);
  }
}

ExitCode run_gpu(const GpuVerb& verb) {
  const Gpu gpu(GpuOptions{.algorithm_file = verb.algorithm_file});
  const GpuInfo info = gpu.info();
  const std::string storage = verb.f32 ? "f32" : "bf16";
  json result{{"gpu", info.name},
              {"architecture", fmt::format("sm_{}{}", info.major, info.minor)},
              {"storage", storage}};
  if (!verb.json)
    fmt::print("{}, sm_{}{}, activations in {}\n", info.name, info.major, info.minor, storage);
  const int far = verb.wants(BenchTable::operators) ? bench_operators(verb, gpu, result) : 0;
  if (verb.wants(BenchTable::steps) && !verb.check) bench_steps(verb, gpu, result);
  result["attention"] = gpu.attention();  // now known: cuDNN may have refused
  if (verb.wants(BenchTable::operators) && result["operators"].empty())
    throw Error(fmt::format("--family {}: no operator's name holds this", verb.family),
                ExitCode::usage);
  if (verb.json)
    fmt::print("{}\n", result.dump(2));
  else
    fmt::print("attention: {}\n", gpu.attention());
  if (far > 0)
    throw Error(fmt::format("{} operators are further from the CPU than rounding explains", far),
                ExitCode::run_failed);
  return ExitCode::good;
}

}  // namespace

void add_bench_gpu(CLI::App& bench, Action& action) {
  const auto gpu = std::make_shared<GpuVerb>();
  CLI::App* verb =
      add_verb(bench, action, "gpu", "every operator and whole training steps on a GPU",
               "metascale bench gpu --size 150M", gpu, run_gpu);
  add_choice(*verb, "--only", gpu->table, bench_table_names, "table");
  verb->add_flag("--check", gpu->check, "distances from the CPU alone: nothing is timed");
  verb->add_flag("--f32", gpu->f32, "activations in f32 [bf16]");
  verb->add_option("--family", gpu->family, "operators of families whose name holds this [all]");
  std::vector<std::string> sizes, names;
  for (const SizeDefinition& size : size_presets()) sizes.push_back(size.name);
  for (const Architecture architecture : architectures) names.push_back(name_of(architecture));
  verb->add_option("--size", gpu->sizes, "of these only [all]")->check(CLI::IsMember(sizes));
  verb->add_option("--architecture", gpu->architectures, "of these only [all]")
      ->check(CLI::IsMember(names));
  verb->add_option("--batch", gpu->batch, "windows of a step")->check(CLI::PositiveNumber);
  verb->add_option("--context", gpu->context, "tokens of a window")->check(CLI::PositiveNumber);
  verb->add_option("--steps", gpu->steps, "counted steps")->check(CLI::PositiveNumber);
  verb->add_option("--peak", gpu->peak_teraflops,
                   "TFLOP/s that MFU is quoted over [989: H100, H200]")
      ->check(CLI::PositiveNumber);
  add_choice(*verb, "--recompute", gpu->recompute, recompute_names, "activations made again");
  add_choice(*verb, "--wkv", gpu->wkv, wkv_form_names, "kernels of the WKV");
  add_choice(*verb, "--low-rank", gpu->low_rank, low_rank_form_names, "products of first factors");
  verb->add_flag("--cuda-graph", gpu->cuda_graph, "replay each step's launches as one CUDA graph");
  verb->add_option("--time-products", gpu->algorithm_file,
                   "time cuBLASLt's algorithms, and keep the choices in this file");
  verb->add_flag("--json", gpu->json, "for machines");
}

}  // namespace metascale
