#include "cli/plan_table.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/atomic_file.hpp"
#include "core/units.hpp"
#include "experiments/program.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct Memory {
  double parameters = 0, activations = 0, checkpoints = 0;  // bytes
};

// Recorded on the tape that trains, executing nothing. Activations are those of one micro-batch.
Memory memory_of(const RunConfig& config) {
  ParameterList list;
  const auto& training = config.training;
  const Program program(config.model,
                        {.rows = std::max<std::int64_t>(1, training.micro_batch),
                         .context = training.context,
                         .tape = {.bf16 = training.precision == Precision::bf16,
                                  .recompute = training.recompute}},
                        list);
  const double arena = 4.0 * double(list.arena_elements());
  return {.parameters = 4 * arena,
          .activations = double(program.bytes()),
          .checkpoints = 3 * arena * double(config.log.keep)};
}

// Seconds per step of each "arm size", as `bench sweep` measured them; empty before that.
std::map<std::string, double> measured_steps(const Ledger& ledger) {
  std::map<std::string, double> seconds;
  std::error_code error;
  if (!std::filesystem::exists(ledger.folder() / "bench.json", error)) return seconds;
  const json document = json::parse(read_file(ledger.folder() / "bench.json"), nullptr, false);
  if (!document.is_object() || !document.contains("shapes")) return seconds;
  for (const auto& [shape, row] : document.at("shapes").items())
    if (row.is_object()) seconds[shape] = row.value("seconds_per_step", 0.0);
  return seconds;
}

std::string shape_of(const RunConfig& config) { return config.arm + " " + config.size; }

std::optional<double> hours_of(const PlannedRun& run, const std::map<std::string, double>& steps) {
  const auto found = steps.find(shape_of(run.config));
  if (found == steps.end()) return std::nullopt;
  return found->second * run.tokens / double(run.config.training.batch_tokens) / 3600;
}

std::string models_table(const Resolution& resolution) {
  std::string text = fmt::format("{:<14} {:<7} {:>7} {:>6} {:>5} {:>14} {:>14} {:>12} {:>10} {:>11}\n",
                                 "arm", "size", "L x D", "heads", "width", "parameters",
                                 "non-embedding", "MFLOP/token", "weights", "activations");
  std::set<std::string> shown;
  for (const auto& run : resolution.runs) {
    if (!shown.insert(shape_of(run.config)).second) continue;
    const auto& model = run.config.model;
    const Memory memory = memory_of(run.config);
    text += fmt::format(
        "{:<14} {:<7} {:>7} {:>6} {:>5} {:>14} {:>14} {:>12.1f} {:>10} {:>11}\n", run.config.arm,
        run.config.size, fmt::format("{}x{}", model.layers, model.width),
        fmt::format("{}x{}", head_count(model), model.head_size), model.feed_forward,
        run.counts.parameters, run.counts.non_embedding_parameters,
        1e-6 * run.counts.flops_per_token, format_bytes(memory.parameters),
        format_bytes(memory.activations));
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
  const auto steps = measured_steps(ledger);
  std::string text = fmt::format("\n{:<46} {:>8} {:>10} {:>10} {:>9} {:>8}  {}\n", "run", "steps",
                                 "tokens", "FLOPs", "rate", "hours", "state");
  for (const auto& run : resolution.runs) {
    const auto hours = hours_of(run, steps);
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

struct Totals {
  double hours = 0, disk = 0;
  bool all_measured = true;
};

Totals totals_of(const Resolution& resolution, const Ledger& ledger) {
  const auto steps = measured_steps(ledger);
  std::map<std::string, double> disk;
  Totals totals;
  for (const auto& run : resolution.runs) {
    const auto hours = hours_of(run, steps);
    totals.all_measured &= hours.has_value();
    totals.hours += hours.value_or(0);
    const std::string shape = shape_of(run.config);
    if (!disk.contains(shape)) disk[shape] = memory_of(run.config).checkpoints;
    totals.disk += disk[shape];
  }
  return totals;
}

}  // namespace

std::string plan_text(const Definition& definition, const Resolution& resolution,
                      const Ledger& ledger) {
  const Totals totals = totals_of(resolution, ledger);
  std::string text = fmt::format("{}: {} runs\n\n", definition.name, resolution.runs.size());
  text += models_table(resolution) + items_table(resolution) + runs_table(resolution, ledger) +
          pairs_table(resolution);
  text += fmt::format("\ntotal: {} tokens, {:.3e} model FLOPs, {} of checkpoints, {}\n",
                      format_count(resolution.tokens), resolution.flops, format_bytes(totals.disk),
                      totals.all_measured
                          ? fmt::format("{:.2f} hours of one slot", totals.hours)
                          : std::string("hours unknown: metascale bench sweep measures them"));
  return text;
}

json plan_json(const Definition& definition, const Resolution& resolution, const Ledger& ledger) {
  const auto steps = measured_steps(ledger);
  std::map<std::string, Memory> memory;
  json runs = json::array(), pairs = json::array();
  for (const auto& run : resolution.runs) {
    const auto& config = run.config;
    if (!memory.contains(shape_of(config))) memory[shape_of(config)] = memory_of(config);
    const Memory& bytes = memory[shape_of(config)];
    json items = json::array();
    for (const auto& item : itemise_model(config.model, config.training.context))
      items.push_back({{"name", item.name},
                       {"parameters", item.parameters},
                       {"flops_per_token", item.flops_per_token}});
    const auto hours = hours_of(run, steps);
    runs.push_back({{"id", config.id},
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
                    {"items", items},
                    {"steps", config.training.steps},
                    {"tokens", run.tokens},
                    {"flops", run.flops},
                    {"learning_rate", config.training.optimizer.learning_rate},
                    {"parameter_bytes", bytes.parameters},
                    {"activation_bytes", bytes.activations},
                    {"checkpoint_bytes", bytes.checkpoints},
                    {"hours", hours ? json(*hours) : json()},
                    {"state", ledger.status(config.id).word()},
                    {"waits_for_tuning", run.waits_for_tuning}});
  }
  for (const auto& pair : resolution.pairs)
    pairs.push_back({{"size", pair.size},
                     {"first", pair.first},
                     {"second", pair.second},
                     {"quantity", pair.quantity},
                     {"first_value", pair.first_value},
                     {"second_value", pair.second_value},
                     {"mismatch", pair.mismatch}});
  const Totals totals = totals_of(resolution, ledger);
  return {{"name", definition.name},
          {"runs", runs},
          {"pairs", pairs},
          {"totals",
           {{"tokens", resolution.tokens},
            {"flops", resolution.flops},
            {"checkpoint_bytes", totals.disk},
            {"hours", totals.all_measured ? json(totals.hours) : json()}}}};
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
  list("=", changes.done, "done");
  list("-", changes.vanished, "no longer in the file; left alone");
  return text;
}

}  // namespace metascale
