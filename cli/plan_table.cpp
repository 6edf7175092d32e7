#include "cli/plan_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/units.hpp"
#include "experiments/precision.hpp"
#include "sweeps/executor.hpp"
#include "sweeps/gpu_memory.hpp"
#include "sweeps/hours.hpp"
#include "sweeps/run_sweep.hpp"

namespace metascale {
namespace {

using nlohmann::json;

// Values and two moments, in each of the checkpoints that are kept.
double checkpoint_bytes(const PlannedRun& run) {
  const Dtype dtype = tape_options(run.config.training, run.config.device, true).dtype;
  return 3 * double(run.counts.parameters * std::int64_t(size_of(dtype)) * run.config.log.keep);
}

// Of the runs, by their shape and ranks: recording a large model takes its time.
class PlannedSteps {
 public:
  const PlannedStep& of(const PlannedRun& run) {
    const std::string key = fmt::format("{} {}", shape_of(run.config), planned_ranks(run));
    const auto found = known_.find(key);
    return found != known_.end() ? found->second : known_[key] = planned_step(run);
  }

 private:
  std::map<std::string, PlannedStep> known_;
};

std::string models_table(const Definition& definition, const Resolution& resolution) {
  // All that a run takes of its GPU; of a process on a CPU it is not known.
  const auto last_column = [&](const std::string& word) {
    return definition.device == Device::cuda ? fmt::format(" {:>10}\n", word) : "\n";
  };
  std::string text = fmt::format(
      "{:<14} {:<7} {:>7} {:>6} {:>5} {:>14} {:>14} {:>12} {:>10} {:>11}", "arm", "size", "L x D",
      "heads", "width", "parameters", "non-embedding", "MFLOP/token", "weights", "activations");
  text += last_column("GPU");
  std::set<std::string> shown;
  for (const auto& run : resolution.runs) {
    if (!shown.insert(shape_of(run.config)).second) continue;
    const auto& model = run.config.model;
    const PlannedStep step = planned_step(run);
    text += fmt::format(
        "{:<14} {:<7} {:>7} {:>6} {:>5} {:>14} {:>14} {:>12.1f} {:>10} {:>11}", run.config.arm,
        run.config.size, fmt::format("{}x{}", model.layers, model.width),
        fmt::format("{}x{}", head_count(model), model.head_size), model.feed_forward,
        run.counts.parameters, run.counts.non_embedding_parameters,
        1e-6 * run.counts.flops_per_token, format_bytes(double(step.parameter_bytes)),
        format_bytes(double(step.program_bytes)));
    text += last_column(format_bytes(double(step.device_bytes())));
  }
  return text;
}

std::string items_table(const Resolution& resolution) {
  std::string text = "\nof which, at each arm's first size\n";
  std::set<std::string> shown;
  for (const auto& run : resolution.runs) {
    if (!shown.insert(run.config.arm).second) continue;
    for (const auto& item : itemise_model(run.config.model, run.config.training.context))
      text += fmt::format("{:<14} {:<22} {:>14} parameters {:>12.2f} MFLOP/token\n", run.config.arm,
                          item.name, item.parameters, 1e-6 * item.flops_per_token);
  }
  return text;
}

std::string runs_table(const Resolution& resolution, const Ledger& ledger) {
  const StepSeconds seconds(ledger.folder());
  std::string text = fmt::format("\n{:<46} {:>8} {:>10} {:>10} {:>9} {:>8}  {}\n", "run", "steps",
                                 "tokens", "FLOPs", "rate", "hours", "state");
  for (const auto& run : resolution.runs) {
    const auto hours = seconds.hours(run);
    const auto status = ledger.status(run.config.id);
    text += fmt::format("{:<46} {:>8} {:>10} {:>10.2e} {:>9.2e} {:>8}  {}{}\n", run.config.id,
                        run.config.training.steps, format_count(run.tokens), run.flops,
                        run.config.training.optimizer.learning_rate,
                        hours ? fmt::format("{:.2f}", *hours) : "?", status.word(),
                        run.waits_for_tuning ? ", waits for tuning" : "");
  }
  return text;
}

std::string pairs_table(const Resolution& resolution) {
  std::string text = "\nmatched\n";
  for (const auto& pair : resolution.pairs)
    text += fmt::format("{:<7} {:<14} {:<14} {} {} and {}: {:+.3f} %\n", pair.size, pair.first,
                        pair.second, pair.quantity, format_count(pair.first_value),
                        format_count(pair.second_value), 100 * pair.mismatch);
  return text;
}

double checkpoint_bytes(const Resolution& resolution) {
  double sum = 0;
  for (const auto& run : resolution.runs) sum += checkpoint_bytes(run);
  return sum;
}

std::string hours_text(const std::optional<PlannedHours>& hours, const Definition& definition,
                       std::size_t runs) {
  if (!hours) return "hours unknown: metascale bench sweep measures them";
  std::string text = fmt::format("{:.2f} hours of one slot", hours->slots);
  const auto* local = std::get_if<LocalLaunch>(&definition.launch.how);
  if (!local || definition.device == Device::cuda || runs == 0) return text;
  const std::int64_t cores = std::int64_t(available_cores().size());
  const std::int64_t slots =
      std::min(std::int64_t(runs),
               local->slots ? local->slots : cores / std::max<std::int64_t>(1, local->threads));
  if (slots > 1)
    text += fmt::format(" (about {:.2f} with {} slots)", hours->slots / double(slots), slots);
  return text;
}

json run_json(const PlannedRun& run, const PlannedStep& step, const std::optional<double>& hours,
              const Ledger& ledger) {
  const auto& config = run.config;
  json items = json::array();
  for (const auto& item : itemise_model(config.model, config.training.context))
    items.push_back({{"name", item.name},
                     {"parameters", item.parameters},
                     {"flops_per_token", item.flops_per_token}});
  return {{"id", config.id},
          {"arm", config.arm},
          {"architecture", name_of(config.model.architecture)},
          {"size", config.size},
          {"length", config.length},
          {"seed", config.seed},
          {"role", name_of(config.role)},
          {"layers", config.model.layers},
          {"width", config.model.width},
          {"feed_forward", config.model.feed_forward},
          {"parameters", run.counts.parameters},
          {"non_embedding_parameters", run.counts.non_embedding_parameters},
          {"flops_per_token", run.counts.flops_per_token},
          {"executed_flops_per_token", step.executed_flops_per_token},
          {"items", items},
          {"steps", config.training.steps},
          {"tokens", run.tokens},
          {"flops", run.flops},
          {"learning_rate", config.training.optimizer.learning_rate},
          {"parameter_bytes", step.parameter_bytes},
          {"activation_bytes", step.program_bytes},
          {"device_bytes", config.device == Device::cuda ? json(step.device_bytes()) : json()},
          {"checkpoint_bytes", checkpoint_bytes(run)},
          {"hours", hours ? json(*hours) : json()},
          {"state", ledger.status(config.id).word()},
          {"waits_for_tuning", run.waits_for_tuning}};
}

}  // namespace

std::string plan_text(const Definition& definition, const Resolution& resolution,
                      const Ledger& ledger) {
  const auto hours = planned_hours(definition, resolution, ledger);
  std::string text = fmt::format("{}: {} runs\n\n", definition.name, resolution.runs.size());
  text += models_table(definition, resolution) + items_table(resolution) +
          runs_table(resolution, ledger) + pairs_table(resolution);
  text += fmt::format("\ntotal: {} tokens, {:.3e} model FLOPs, {} of checkpoints, {}\n",
                      format_count(resolution.tokens), resolution.flops,
                      format_bytes(checkpoint_bytes(resolution)),
                      hours_text(hours, definition, resolution.runs.size()));
  const std::string budget = budget_text(definition, hours);
  return budget.empty() ? text : text + budget + "\n";
}

json plan_json(const Definition& definition, const Resolution& resolution, const Ledger& ledger) {
  const StepSeconds seconds(ledger.folder());
  PlannedSteps steps;
  json runs = json::array(), pairs = json::array();
  for (const auto& run : resolution.runs)
    runs.push_back(run_json(run, steps.of(run), seconds.hours(run), ledger));
  for (const auto& pair : resolution.pairs)
    pairs.push_back({{"size", pair.size},
                     {"first", pair.first},
                     {"second", pair.second},
                     {"quantity", pair.quantity},
                     {"first_value", pair.first_value},
                     {"second_value", pair.second_value},
                     {"mismatch", pair.mismatch}});
  const auto hours = planned_hours(definition, resolution, ledger);
  const auto cost = planned_cost(definition, hours);
  const BudgetDefinition& budget = definition.budget;
  return {{"name", definition.name},
          {"runs", runs},
          {"pairs", pairs},
          {"totals",
           {{"tokens", resolution.tokens},
            {"flops", resolution.flops},
            {"checkpoint_bytes", checkpoint_bytes(resolution)},
            {"hours", hours ? json(hours->slots) : json()},
            {"device", asks_for_gpus(definition) ? "gpu" : "core"},
            {"device_hours", hours ? json(hours->devices) : json()},
            {"cost", cost ? json(*cost) : json()}}},
          {"budget",
           {{"hours", budget.hours > 0 ? json(budget.hours) : json()},
            {"gpu_hours", budget.gpu_hours > 0 ? json(budget.gpu_hours) : json()},
            {"refuse_above", budget.refuse_above}}}};
}

std::string plan_changes(const Resolution& resolution, const Ledger& ledger) {
  const LedgerChanges changes = ledger.compare(resolution);
  std::string text;
  const auto list = [&](const char* sign, const std::vector<std::string>& ids, const char* what) {
    for (const auto& id : ids) text += fmt::format("{} {}  {}\n", sign, id, what);
  };
  list("+", changes.added, "new");
  list(">", changes.unfinished, "goes on");
  list("~", changes.updated, "goes on, its settings changed");
  list("^", changes.longer, "was done, and goes on to more steps");
  list("=", changes.done, "done");
  list("!", changes.evaluated_otherwise, "done with other evaluation settings; left alone");
  list("-", changes.vanished, "no longer in the file; left alone");
  return text;
}

json plan_changes_json(const Resolution& resolution, const Ledger& ledger) {
  const LedgerChanges changes = ledger.compare(resolution);
  return {{"added", changes.added},      {"unfinished", changes.unfinished},
          {"updated", changes.updated},  {"longer", changes.longer},
          {"done", changes.done},        {"evaluated_otherwise", changes.evaluated_otherwise},
          {"vanished", changes.vanished}};
}

}  // namespace metascale
