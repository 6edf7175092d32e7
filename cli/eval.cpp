// metascale eval: the loss of a model on disk.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "core/domain_means.hpp"
#include "core/hash.hpp"
#include "core/journal.hpp"
#include "core/progress.hpp"
#include "experiments/evaluation.hpp"
#include "experiments/model_evaluation.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct EvalVerb {
  std::filesystem::path checkpoint;
  ModelEvaluationOptions evaluation;
  std::string protocol = "packed", format;
  std::filesystem::path out;  // of the sums per (window, document); empty: none
  bool json = false;
};

json optional_number(const std::optional<double>& value) { return value ? json(*value) : json(); }

json to_json(const Evaluation& result, const StoredModel& stored, std::int64_t context) {
  json domains = json::array(), positions = json::array();
  for (const auto& row : result.domains)
    domains.push_back(
        {{"domain", row.domain}, {"tokens", row.tokens}, {"bytes", row.bytes}, {"nats", row.nats}});
  for (const auto& row : result.positions)
    positions.push_back(
        {{"first", row.first}, {"last", row.last}, {"tokens", row.tokens}, {"nats", row.nats}});
  const DomainMeans means = domain_means(result);
  return {{"run", stored.run.id},
          {"step", result.step},
          {"protocol", result.protocol},
          {"context", context},
          {"coverage", result.coverage},
          {"digest", to_hex(result.digest)},
          {"tokens", result.tokens},
          {"bytes", result.bytes},
          {"nats", result.nats},
          {"nats_per_token", result.loss()},
          {"bits_per_byte", result.bytes > 0 ? json(result.bits_per_byte()) : json()},
          {"bits_per_byte_mean_of_domains", optional_number(means.plain)},
          {"bits_per_byte_pile_weighted", optional_number(means.pile)},
          {"domains", domains},
          {"positions", positions}};
}

std::string bits_of(std::int64_t bytes, double nats) {
  return bytes > 0 ? fmt::format("{:.4f}", nats / (0.6931471805599453 * double(bytes))) : "unknown";
}

void print_positions(const Evaluation& result) {
  fmt::print("\n{:<24} {:>14} {:>14}\n", "position in the window", "tokens", "nats per token");
  for (const auto& row : result.positions)
    if (row.tokens > 0)
      fmt::print("{:<24} {:>14} {:>14.4f}\n", fmt::format("{} - {}", row.first, row.last),
                 row.tokens, row.nats / double(row.tokens));
}

void print(const Evaluation& result, const StoredModel& stored, std::int64_t context) {
  fmt::print("{} at step {}, {}, context {}, {}, digest {}\n\n", stored.run.id, result.step,
             result.protocol, context, result.coverage, to_hex(result.digest));
  fmt::print("{:<24} {:>14} {:>14} {:>14}\n", "domain", "tokens", "nats per token",
             "bits per byte");
  for (const auto& row : result.domains)
    if (row.tokens > 0)
      fmt::print("{:<24} {:>14} {:>14.4f} {:>14}\n", for_stdout(row.domain), row.tokens,
                 row.nats / double(row.tokens), bits_of(row.bytes, row.nats));
  fmt::print("{:<24} {:>14} {:>14.4f} {:>14}\n", "all", result.tokens, result.loss(),
             bits_of(result.bytes, result.nats));
  const DomainMeans means = domain_means(result);
  if (means.plain) fmt::print("{:<24} {:>44.4f}\n", "mean of the domains", *means.plain);
  if (means.pile) fmt::print("{:<24} {:>44.4f}\n", "weighted as The Pile", *means.pile);
  print_positions(result);
}

ExitCode run_eval(const EvalVerb& verb) {
  expect_file_name("--out", verb.out);
  const StoredModel stored = find_model(verb.checkpoint);
  ModelEvaluationOptions options = verb.evaluation;
  options.protocol = verb.protocol == "rolling" ? EvaluationProtocol::rolling_documents
                                                : EvaluationProtocol::packed_windows;
  if (!verb.format.empty()) options.layout = parse_token_layout(verb.format);
  if (options.threads == 0) options.threads = int(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  catch_stop_signals();
  Progress progress;
  const int bar = progress.add(stored.run.id);
  options.progress = [&](double part) {
    progress.update(bar, part, verb.protocol);
    return stop_request() == StopRequest::none;
  };
  const Evaluation result = evaluate_model(stored, options);
  progress.finish(bar, "done");
  if (!verb.out.empty()) write_segments(verb.out, result);
  const std::int64_t context = options.context > 0 ? options.context : stored.run.training.context;
  if (verb.json)
    fmt::print("{}\n", to_json(result, stored, context).dump(2));
  else
    print(result, stored, context);
  return ExitCode::good;
}

}  // namespace

void add_eval_verb(CLI::App& app, Action& action) {
  const auto eval = std::make_shared<EvalVerb>();
  eval->evaluation.threads = 0;
  CLI::App* verb = add_verb(app, action, "eval", "the loss of a model on a token file",
                            "metascale eval results/quick/runs/rwkv7-36k-400ktokens-s1-0123abcd "
                            "--data corpora/small/test",
                            eval, run_eval);
  verb->add_option("checkpoint", eval->checkpoint, "run folder, or one of its checkpoints/step-<N>")
      ->required();
  verb->add_option("--data", eval->evaluation.data, "token file of the model's tokenizer")
      ->required();
  verb->add_option("--format", eval->format,
                   "of --data: megatron, llm.c, uint16 or uint32 [that of the run's token files]");
  verb->add_option(
          "--protocol", eval->protocol,
          "packed: windows of the stream, as in training; rolling: each document for itself")
      ->check(CLI::IsMember({"packed", "rolling"}));
  verb->add_option("--context", eval->evaluation.context, "tokens of a window [that of training]")
      ->check(CLI::Range(1, 1 << 24));
  verb->add_option("--domain", eval->evaluation.domains, "only what is of these [all]");
  verb->add_option("--windows", eval->evaluation.windows, "so many, spread evenly [0: all]")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--rows", eval->evaluation.rows, "windows of one forward")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--out", eval->out,
                   "file for the sums per (window, document), which metascale compare pairs");
  verb->add_option("--threads", eval->evaluation.threads, "0: as many as there are processors")
      ->check(CLI::Range(0, 4096));
  verb->add_flag("--json", eval->json, "for machines");
}

}  // namespace metascale
