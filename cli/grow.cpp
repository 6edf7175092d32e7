// metascale grow: a larger model out of a trained one.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "experiments/grown_checkpoint.hpp"
#include "experiments/lineage.hpp"
#include "experiments/plan.hpp"

namespace metascale {
namespace {

using nlohmann::json;

// As the reader of runs has them.
constexpr std::int64_t most_layers = 1000, most_steps = 1'000'000'000'000;
constexpr double most_multiplier = 1000;

struct GrowVerb {
  std::filesystem::path checkpoint, out;
  std::string parameter_tokens, heads, layers, low_ranks;
  GrowOptions options;
  bool json = false;
};

// What growth may change of a model.
struct Extents {
  std::int64_t parameters, layers, heads, feed_forward;
};

Extents extents_of(const ModelConfig& model, std::int64_t context) {
  return {count_model(model, context).parameters, model.layers, head_count(model),
          model.feed_forward};
}

GrowthRequest request_of(const GrowVerb& verb) {
  const auto extent = [](const std::string& text, const char* what) {
    return text.empty() ? GrowthExtent{} : parse_growth_extent(text, what);
  };
  return {.parameter_tokens = extent(verb.parameter_tokens, "--parameter-tokens"),
          .heads = extent(verb.heads, "--heads"),
          .low_ranks = extent(verb.low_ranks, "--low-ranks"),
          .layers = extent(verb.layers, "--layers")};
}

void print_change(const char* what, std::int64_t before, std::int64_t after) {
  fmt::print("  {:<18} {:>12}{}\n", what, before,
             before == after ? std::string() : fmt::format(" -> {}", after));
}

json to_json(const std::string& run, std::int64_t step, const Extents& extents) {
  return {{"run", run},
          {"step", step},
          {"parameters", extents.parameters},
          {"layers", extents.layers},
          {"heads", extents.heads},
          {"feed_forward", extents.feed_forward}};
}

ExitCode run_grow(const GrowVerb& verb) {
  const StoredModel parent = find_model(verb.checkpoint);
  GrowOptions options = verb.options;
  options.request = request_of(verb);
  const RunConfig run = grown_run(parent, options, run_id_of(verb.out));
  write_grown_run(parent, run, verb.out);
  const Extents old = extents_of(parent.run.model, run.training.context),
                now = extents_of(run.model, run.training.context);
  const double tokens = double(parent.step) * double(run.training.batch_tokens);
  if (verb.json) {
    print_json_line({{"parent", to_json(parent.run.id, parent.step, old)},
                     {"grown", to_json(run.id, parent.step, now)},
                     {"folder", verb.out.string()},
                     {"inherited_tokens", tokens},
                     {"inherited_flops", lineage_flops(run, tokens)}});
    return ExitCode::good;
  }
  fmt::print("{} at step {} grew into {}\n", parent.run.id, parent.step, verb.out.string());
  print_change("parameters", old.parameters, now.parameters);
  print_change("layers", old.layers, now.layers);
  print_change("heads", old.heads, now.heads);
  print_change("feed-forward", old.feed_forward, now.feed_forward);
  fmt::print("  {:<18} {:>12} tokens, {:.3g} FLOPs\n", "inherited", tokens,
             lineage_flops(run, tokens));
  fmt::print("go on with: metascale train {}\n", verb.out.string());
  return ExitCode::good;
}

}  // namespace

void add_grow_verb(CLI::App& app, Action& action) {
  const auto options = std::make_shared<GrowVerb>();
  CLI::App* verb =
      add_verb(app, action, "grow", "a larger model that computes what this one does, to train on",
               "metascale grow results/quick/runs/my-run --parameter-tokens 2x "
               "--heads 16 -o results/quick/runs/my-run-grown",
               options, run_grow);
  verb->add_option("checkpoint", options->checkpoint,
                   "run folder, or one of its checkpoints/step-N")
      ->required();
  verb->add_option("--parameter-tokens", options->parameter_tokens,
                   "2x, or the new number (of a Transformer: its feed-forward width)");
  verb->add_option("--heads", options->heads,
                   "2x, or the new number: WKV state, or attention heads");
  verb->add_option("--layers", options->layers, "2x, or the new number");
  verb->add_option("--low-ranks", options->low_ranks, "2x: low-rank maps of rwkv7 and meta_state");
  verb->add_option("--insert-after", options->options.insert_after,
                   "block behind which each new one goes, ascending [evenly spread]")
      ->check(CLI::Range(std::int64_t(0), most_layers));
  verb->add_option("--steps", options->options.steps, "to train the grown run for [as its parent]")
      ->check(CLI::Range(std::int64_t(1), most_steps));
  verb->add_option("--new-learning-rate", options->options.new_learning_rate,
                   "multiplier of the learning rate of what is new [1]")
      ->check(CLI::Range(0.0, most_multiplier));
  verb->add_option("--new-weight-decay", options->options.new_weight_decay,
                   "multiplier of the weight decay of what is new [1]")
      ->check(CLI::Range(0.0, most_multiplier));
  verb->add_option("-o,--out", options->out, "run folder to be made")->required();
  verb->add_flag("--json", options->json, "for machines");
}

}  // namespace metascale
