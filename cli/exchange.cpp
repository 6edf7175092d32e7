// metascale export, metascale import: models for and from other people's tools.
#include "experiments/exchange.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"

namespace metascale {
namespace {

struct ExportVerb {
  std::filesystem::path checkpoint, out;
  std::string format;
  bool json = false;
};

struct ImportVerb {
  std::filesystem::path source, out;
  std::string format, tokenizer;
  bool json = false;
};

ExitCode run_export(const ExportVerb& verb) {
  const StoredModel stored = find_model(verb.checkpoint);
  const ExchangeFormat format = verb.format.empty() ? standard_format(stored.run.model.architecture)
                                                    : parse_exchange_format(verb.format);
  export_model(stored, format, verb.out);
  if (verb.json)
    print_json_line({{"run", stored.run.id},
                     {"step", stored.step},
                     {"format", name_of(format)},
                     {"folder", verb.out.string()}});
  else
    fmt::print("{} at step {}: {} in {}\n", stored.run.id, stored.step, name_of(format),
               verb.out.string());
  return ExitCode::good;
}

ExitCode run_import(const ImportVerb& verb) {
  ImportOptions options{.tokenizer = verb.tokenizer};
  if (!verb.format.empty()) options.format = parse_exchange_format(verb.format);
  import_model(verb.source, verb.out, options);
  const RunConfig run = find_model(verb.out).run;
  if (verb.json)
    print_json_line({{"folder", verb.out.string()},
                     {"architecture", name_of(run.model.architecture)},
                     {"layers", run.model.layers},
                     {"width", run.model.width},
                     {"vocabulary", run.model.vocabulary},
                     {"tokenizer", run.data.tokenizer}});
  else
    fmt::print("{}: a {} of {} layers, width {}, tokenizer {}\n", verb.out.string(),
               name_of(run.model.architecture), run.model.layers, run.model.width,
               run.data.tokenizer);
  return ExitCode::good;
}

}  // namespace

void add_exchange_verbs(CLI::App& app, Action& action) {
  const auto out = std::make_shared<ExportVerb>();
  CLI::App* verb =
      add_verb(app, action, "export", "write a model as other tools read it",
               "metascale export results/quick/runs/my-run -o my-model", out, run_export);
  verb->add_option("checkpoint", out->checkpoint, "run folder, or one of its checkpoints/step-N")
      ->required();
  verb->add_option("--format", out->format,
                   "gpt_neox, llama, rwkv, fla or meta_state [by the architecture]");
  verb->add_option("-o,--out", out->out, "folder to be made")->required();
  verb->add_flag("--json", out->json, "for machines");

  const auto in = std::make_shared<ImportVerb>();
  verb = add_verb(app, action, "import", "read a model of other tools into a run folder",
                  "metascale import pythia-160m -o results/pythia-160m", in, run_import);
  verb->add_option(
          "source", in->source,
          "folder with config.json and safetensors, or a lone .safetensors file of RWKV-LM")
      ->required()
      ->check(CLI::ExistingPath);
  verb->add_option("--format", in->format,
                   "gpt_neox, llama, rwkv, fla or meta_state [as config.json says]");
  verb->add_option("--tokenizer", in->tokenizer, "bytes, or a tokenizer.json [the one beside it]");
  verb->add_option("-o,--out", in->out, "run folder to be made")->required();
  verb->add_flag("--json", in->json, "for machines");
}

}  // namespace metascale
