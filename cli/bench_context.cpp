// metascale bench context: what a token costs against the length of its context.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/bench_verbs.hpp"
#include "cli/choice.hpp"
#include "cli/matched_models.hpp"
#include "experiments/context_cost.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct ContextVerb {
  ContextCostOptions options;
  std::int64_t layers = 4, width = 128, head_size = 32, feed_forward = 512, vocabulary = 257;
  std::vector<std::string> architectures;  // empty: all
  std::string only;                        // training, generation; empty: both
  bool json = false;
};

struct Measurement {
  Architecture architecture;
  std::int64_t parameters = 0;
  CostCurve training, generation;
};

struct Quantity {
  const char* name;
  const char* words;
  CostCurve Measurement::*curve;
  double CostPoint::*cost;
  bool is_compared;  // between architectures: what has a spread, or needs none
};
constexpr Quantity quantities[] = {
    {"training_seconds", "training, seconds per token", &Measurement::training, &CostPoint::seconds,
     true},
    {"training_bytes", "training, bytes per token, as planned", &Measurement::training,
     &CostPoint::planned_bytes, true},
    {"training_resident_bytes", "training, bytes per token, as measured", &Measurement::training,
     &CostPoint::resident_bytes, false},
    {"generation_seconds", "generation, seconds per token", &Measurement::generation,
     &CostPoint::seconds, true},
    {"generation_bytes", "generation, bytes carried, as computed", &Measurement::generation,
     &CostPoint::planned_bytes, true},
    {"generation_resident_bytes", "generation, bytes held, as measured", &Measurement::generation,
     &CostPoint::resident_bytes, false}};

void print_curve(const char* name, const char* words, const CostCurve& curve) {
  for (const CostPoint& point : curve.points)
    fmt::print("{:<15} {:<10} {:>7} {:>12.3f} {:>26} {:>14.0f} {:>14.0f}\n", name, words,
               point.size, 1e6 * point.seconds,
               fmt::format("[{:.3f}, {:.3f}]", 1e6 * point.seconds_low, 1e6 * point.seconds_high),
               point.planned_bytes, point.resident_bytes);
  if (curve.left_out > 0)
    fmt::print("{:<15} {:<10} {:>7} and longer: not measured within --seconds\n", name, words,
               curve.left_out);
  std::fflush(stdout);
}

json to_json(const CostCurve& curve) {
  json points = json::array();
  for (const CostPoint& point : curve.points)
    points.push_back({{"tokens", point.size},
                      {"seconds_per_token", point.seconds},
                      {"seconds_spread", {point.seconds_low, point.seconds_high}},
                      {"planned_bytes", point.planned_bytes},
                      {"resident_bytes", point.resident_bytes}});
  return {{"points", points}, {"left_out_from", curve.left_out}};
}

json exponents_of(const Measurement& row, bool prints) {
  json fits = json::object();
  for (const Quantity& quantity : quantities) {
    const auto fit = fit_exponent(row.*quantity.curve, quantity.cost);
    fits[quantity.name] = fit ? json{{"exponent", fit->value},
                                     {"interval", {fit->low, fit->high}},
                                     {"points", fit->points}}
                              : json();
    if (!prints) continue;
    const std::string text =
        fit ? fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", fit->value, fit->low, fit->high)
            : "fewer than 3 lengths";
    fmt::print("{:<15} {:<40} {}\n", name_of(row.architecture), quantity.words, text);
  }
  return fits;
}

// `second` stays below `first` from some length on; nothing where that is not decided.
std::optional<json> crossover_of(const Measurement& first, const Measurement& second,
                                 const Quantity& quantity, bool prints) {
  const auto at = crossover(first.*quantity.curve, second.*quantity.curve, quantity.cost);
  if (!at) return std::nullopt;
  const char *cheaper = name_of(second.architecture), *dearer = name_of(first.architecture);
  if (prints && at->from_the_start)
    fmt::print("{}: {} below {} at every length\n", quantity.words, cheaper, dearer);
  else if (prints && at->at_or_before)
    fmt::print("{}: {} below {} from {:.0f} tokens on at the latest, before it not decided\n",
               quantity.words, cheaper, dearer, at->tokens);
  else if (prints)
    fmt::print("{}: {} below {} from {:.0f} tokens on, between {:.0f} and {:.0f}\n", quantity.words,
               cheaper, dearer, at->tokens, at->low, at->high);
  return json{{"cheaper", cheaper},
              {"dearer", dearer},
              {"quantity", quantity.name},
              {"from_tokens", at->tokens},
              {"between_tokens", {at->low, at->high}},
              {"from_the_start", at->from_the_start},
              {"at_or_before", at->at_or_before}};
}

json crossovers_of(const std::vector<Measurement>& rows, bool prints) {
  json found = json::array();
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = i + 1; j < rows.size(); ++j)
      for (const Quantity& quantity : quantities) {
        const Measurement &one = rows[i], &other = rows[j];
        if (!quantity.is_compared || (one.*quantity.curve).points.empty()) continue;
        auto decided = crossover_of(one, other, quantity, prints);
        if (!decided) decided = crossover_of(other, one, quantity, prints);
        if (decided) {
          found.push_back(*decided);
        } else if (prints) {
          fmt::print("{}: {} and {}: no crossover decided\n", quantity.words,
                     name_of(one.architecture), name_of(other.architecture));
        }
      }
  return found;
}

ExitCode run_bench_context(const ContextVerb& verb) {
  const bool prints = !verb.json;
  std::vector<Measurement> rows;
  json models = json::array();
  if (prints)
    fmt::print("{:<15} {:<10} {:>7} {:>12} {:>26} {:>14} {:>14}\n", "architecture", "", "tokens",
               "us/token", "its spread", "planned bytes", "resident bytes");
  const ModelConfig transformer{.layers = verb.layers,
                                .width = verb.width,
                                .vocabulary = verb.vocabulary,
                                .head_size = verb.head_size,
                                .feed_forward = verb.feed_forward};
  for (const ModelConfig& model : matched_models(transformer, verb.options.least)) {
    if (!is_wanted(verb.architectures, name_of(model.architecture))) continue;
    Measurement row{.architecture = model.architecture,
                    .parameters = count_model(model, verb.options.least).parameters};
    if (verb.only != "generation") row.training = training_cost(model, verb.options);
    if (prints) print_curve(name_of(model.architecture), "training", row.training);
    if (verb.only != "training") row.generation = generation_cost(model, verb.options);
    if (prints) print_curve(name_of(model.architecture), "generation", row.generation);
    rows.push_back(row);
  }
  if (prints) fmt::print("\nExponent of the cost of one token in the length, with 95 % interval\n");
  for (const Measurement& row : rows)
    models.push_back({{"architecture", name_of(row.architecture)},
                      {"parameters", row.parameters},
                      {"training", to_json(row.training)},
                      {"generation", to_json(row.generation)},
                      {"exponents", exponents_of(row, prints)}});
  if (prints) fmt::print("\n");
  const json crossovers = crossovers_of(rows, prints);
  if (verb.json)
    fmt::print(
        "{}\n",
        json{{"threads", verb.options.threads}, {"models", models}, {"crossovers", crossovers}}
            .dump(2));
  return ExitCode::good;
}

}  // namespace

void add_bench_context(CLI::App& bench, Action& action) {
  const auto options = std::make_shared<ContextVerb>();
  CLI::App* verb = add_verb(
      bench, action, "context", "time and memory of a token against the length of its context",
      "metascale bench context --to 4096 --seconds 30", options, run_bench_context);
  verb->add_option("--from", options->options.least, "shortest context")
      ->check(CLI::Range(16, 1 << 20));
  verb->add_option("--to", options->options.most, "longest context")
      ->check(CLI::Range(16, 1 << 20));
  verb->add_option("--seconds", options->options.seconds,
                   "of each curve; longer contexts are left out")
      ->check(CLI::PositiveNumber);
  verb->add_option("--threads", options->options.threads, "of each step")
      ->check(CLI::PositiveNumber);
  verb->add_option("--repeats", options->options.repeats, "the median counts")
      ->check(CLI::PositiveNumber);
  verb->add_option("--layers", options->layers, "of the models")->check(CLI::PositiveNumber);
  verb->add_option("--width", options->width, "a multiple of --head-size")
      ->check(CLI::PositiveNumber);
  verb->add_option("--head-size", options->head_size, "of the models")->check(CLI::PositiveNumber);
  verb->add_option("--feed-forward", options->feed_forward,
                   "of the Transformer; the others are matched")
      ->check(CLI::PositiveNumber);
  verb->add_option("--architecture", options->architectures, "of them only [all]")
      ->check(CLI::IsMember({"transformer", "transformer_pp", "rwkv7", "meta_state"}));
  verb->add_option("--only", options->only, "training or generation [both]")
      ->check(CLI::IsMember({"training", "generation"}));
  verb->add_flag("--json", options->json, "for machines");
}

}  // namespace metascale
