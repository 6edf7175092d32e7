// metascale bench step: what a training step costs as the model and its batch grow.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench_verbs.hpp"
#include "cli/choice.hpp"
#include "cli/matched_models.hpp"
#include "experiments/benchmark.hpp"
#include "experiments/context_cost.hpp"
#include "experiments/plan.hpp"
#include "experiments/run_programs.hpp"

namespace metascale {
namespace {

using nlohmann::json;

constexpr std::int64_t context = 256, head_size = 32, vocabulary = 257;
// Of what stays while the other grows: 16 windows, the shape of about a million parameters.
constexpr std::int64_t windows = 16, layers = 4, width = 128;

struct StepVerb {
  std::vector<std::int64_t> widths = {64, 96, 128, 192, 256, 384};
  std::vector<std::int64_t> batches = {1, 2, 4, 8, 16, 32, 64};
  std::vector<std::string> architectures;  // empty: all
  double seconds = 1;
  int threads = 1;
  bool json = false;
};

enum class Grows { model, batch };

CostPoint cost_of(const ModelConfig& model, std::int64_t batch, Grows grows, const StepVerb& verb) {
  StepBenchmark benchmark{
      .model = model, .threads = verb.threads, .counted = 3, .least_seconds = verb.seconds};
  benchmark.training = {.batch_tokens = batch * context,
                        .micro_batch = automatic_micro_batch(Device::cpu, batch, context),
                        .context = context};
  const StepTiming timing = measure_step(benchmark);
  const double tokens = double(benchmark.training.batch_tokens);
  return {.size = grows == Grows::model ? count_model(model, context).parameters
                                        : benchmark.training.batch_tokens,
          .seconds = timing.median_seconds / tokens,
          .seconds_low = timing.fastest_seconds / tokens,
          .seconds_high = timing.slowest_seconds / tokens,
          .resident_bytes = double(timing.memory_bytes)};
}

json exponent_of(const CostCurve& curve, double CostPoint::*cost, const char* words, bool prints) {
  const auto fit = fit_exponent(curve, cost);
  if (!fit) return nullptr;
  if (prints)
    fmt::print("  {}: exponent {:+.2f} [{:+.2f}, {:+.2f}]\n", words, fit->value, fit->low,
               fit->high);
  return {{"exponent", fit->value}, {"interval", {fit->low, fit->high}}};
}

json told(const ModelConfig& model, const CostCurve& curve, Grows grows, bool prints) {
  const char* of = grows == Grows::model ? "parameters" : "batch";
  json points = json::array();
  for (const CostPoint& point : curve.points)
    points.push_back({{"size", point.size},
                      {"seconds_per_token", point.seconds},
                      {"seconds_spread", {point.seconds_low, point.seconds_high}},
                      {"resident_bytes", point.resident_bytes}});
  const auto seconds = exponent_of(curve, &CostPoint::seconds, "seconds per token", prints);
  const auto bytes = exponent_of(curve, &CostPoint::resident_bytes, "memory", prints);
  return {{"architecture", name_of(model.architecture)},
          {"grows", of},
          {"points", points},
          {"seconds", seconds},
          {"memory", bytes}};
}

void print_point(const ModelConfig& model, const CostPoint& point, Grows grows) {
  fmt::print("{:<15} {:<10} {:>10} {:>10.2f} {:>20} {:>9.1f}\n", name_of(model.architecture),
             grows == Grows::model ? "parameters" : "batch", point.size, 1e6 * point.seconds,
             fmt::format("[{:.2f}, {:.2f}]", 1e6 * point.seconds_low, 1e6 * point.seconds_high),
             point.resident_bytes / 1048576);
  std::fflush(stdout);
}

ExitCode run_bench_step(const StepVerb& verb) {
  const auto models_of = [](std::int64_t size) {
    return matched_models({.layers = layers,
                           .width = size,
                           .vocabulary = vocabulary,
                           .head_size = head_size,
                           .feed_forward = 4 * size},
                          context);
  };
  json curves = json::array();
  if (!verb.json)
    fmt::print("{:<15} {:<10} {:>10} {:>10} {:>20} {:>9}\n", "architecture", "grows", "size",
               "us/token", "least, most", "MiB");
  for (const ModelConfig& fixed : models_of(width)) {
    if (!is_wanted(verb.architectures, name_of(fixed.architecture))) continue;
    const auto measure = [&](Grows grows, const std::vector<std::int64_t>& sizes,
                             const auto& cost_at) {
      CostCurve curve;
      for (const std::int64_t size : sizes) {
        curve.points.push_back(cost_at(size));
        if (!verb.json) print_point(fixed, curve.points.back(), grows);
      }
      curves.push_back(told(fixed, curve, grows, !verb.json));
    };
    measure(Grows::model, verb.widths, [&](std::int64_t size) {
      for (const ModelConfig& model : models_of(size))
        if (model.architecture == fixed.architecture)
          return cost_of(model, windows, Grows::model, verb);
      throw Error(fmt::format("no model of width {} was matched", size));
    });
    measure(Grows::batch, verb.batches,
            [&](std::int64_t batch) { return cost_of(fixed, batch, Grows::batch, verb); });
  }
  if (verb.json)
    fmt::print("{}\n", json{{"threads", verb.threads},
                            {"context", context},
                            {"batch", windows * context},
                            {"curves", curves}}
                           .dump(2));
  return ExitCode::good;
}

}  // namespace

void add_bench_step(CLI::App& bench, Action& action) {
  const auto step = std::make_shared<StepVerb>();
  CLI::App* verb = add_verb(bench, action, "step",
                            "time and memory of a training step as the model and its batch grow",
                            "metascale bench step --architecture rwkv7", step, run_bench_step);
  const CLI::Validator multiple(
      [](std::string& word) {
        std::int64_t value = 0;  // of what is no number at all the range's check tells
        std::from_chars(word.data(), word.data() + word.size(), value);
        return value % head_size ? "must be a multiple of 32" : "";
      },
      "", "");
  verb->add_option("--widths", step->widths, "of the models: multiples of 32")
      ->check(CLI::Range(32, 1 << 14) & multiple);
  verb->add_option("--batches", step->batches, "in windows of 256 tokens")
      ->check(CLI::Range(1, 1 << 16));
  verb->add_option("--architecture", step->architectures, "of these only [all]")
      ->check(CLI::IsMember({"transformer", "transformer_pp", "rwkv7", "meta_state"}));
  verb->add_option("--seconds", step->seconds, "of each size, and three steps at least")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--threads", step->threads, "of each step")->check(CLI::PositiveNumber);
  verb->add_flag("--json", step->json, "for machines");
}

}  // namespace metascale
