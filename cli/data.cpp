// metascale data: what is in token files.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "data/convert.hpp"
#include "data/inspect.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct ConvertVerb {
  std::filesystem::path path, out;
  std::string from = "megatron", format, tokenizer;
  bool json = false;
};
struct InspectVerb {
  std::filesystem::path path;
  InspectOptions options;
  std::string format = "megatron";
  bool json = false;
};

json to_json(const Inspection& found) {
  json domains = json::array(), lengths = json::array(), samples = json::array();
  for (const auto& row : found.domains)
    domains.push_back({{"domain", row.name},
                       {"documents", row.documents},
                       {"tokens", row.tokens},
                       {"bytes", row.bytes}});
  for (const auto& bin : found.lengths)
    lengths.push_back({{"least", bin.least}, {"most", bin.most}, {"documents", bin.documents}});
  for (const auto& sample : found.samples)
    samples.push_back({{"document", sample.document},
                       {"domain", sample.domain},
                       {"tokens", sample.tokens},
                       {"text", sample.text}});
  return {{"tokens", found.tokens},
          {"documents", found.documents},
          {"tokenizer", found.has_info ? json(found.info.tokenizer) : json()},
          {"domains", domains},
          {"lengths", lengths},
          {"samples", samples}};
}

ExitCode run_inspect(const InspectVerb& verb) {
  InspectOptions options = verb.options;
  options.layout = parse_token_layout(verb.format);
  const Inspection found = inspect_token_file(verb.path, options);
  if (verb.json) {
    fmt::print("{}\n", to_json(found).dump(2));
    return ExitCode::good;
  }
  fmt::print("{} tokens, {} documents, tokenizer {}\n\n", found.tokens, found.documents,
             found.has_info ? for_stdout(found.info.tokenizer) : "unknown");
  fmt::print("{:<24} {:>10} {:>14} {:>14}\n", "domain", "documents", "tokens", "bytes");
  for (const auto& row : found.domains)
    fmt::print("{:<24} {:>10} {:>14} {:>14}\n", for_stdout(row.name), row.documents, row.tokens,
               row.bytes < 0 ? "unknown" : fmt::format("{}", row.bytes));
  std::int64_t most = 1;
  for (const auto& bin : found.lengths) most = std::max(most, bin.documents);
  fmt::print("\n{:>22}  documents\n", "tokens of a document");
  for (const auto& bin : found.lengths)
    fmt::print("{:>22}  {:<40} {}\n", fmt::format("{} - {}", bin.least, bin.most),
               std::string(std::size_t(40 * bin.documents / most), '#'), bin.documents);
  for (const auto& sample : found.samples)
    fmt::print("\n--- document {} ({}, {} tokens)\n{}\n", sample.document,
               for_stdout(sample.domain), sample.tokens, for_stdout(sample.text));
  return ExitCode::good;
}

ExitCode run_verify(const InspectVerb& verb) {
  const auto checks =
      verify_token_file(verb.path, {parse_token_layout(verb.format), verb.options.tokenizer});
  bool good = true;
  json rows = json::array();
  for (const auto& check : checks) {
    good &= check.passed;
    rows.push_back({{"check", check.what}, {"passed", check.passed}, {"fault", check.fault}});
    if (!verb.json)
      fmt::print("{} {}{}\n", check.passed ? "ok  " : "BAD ", check.what,
                 check.passed ? "" : ": " + check.fault);
  }
  if (verb.json) fmt::print("{}\n", json{{"checks", rows}, {"good", good}}.dump(2));
  return good ? ExitCode::good : ExitCode::bad_input;
}

ExitCode run_convert(const ConvertVerb& verb) {
  const TokenFile from = open_foreign(verb.path, {parse_token_layout(verb.from), verb.tokenizer});
  const FlatTokens to = write_flat_tokens(from, parse_token_layout(verb.format), verb.out);
  if (verb.json)
    print_json_line(
        {{"path", to.path.string()}, {"type", name_of(to.type)}, {"tokens", to.tokens}});
  else
    fmt::print("{} tokens of type {}: {}\n", to.tokens, name_of(to.type), to.path.string());
  return ExitCode::good;
}

void add_format(CLI::App& verb, InspectVerb& of) {
  verb.add_option("--format", of.format,
                  "megatron, or of a file without .idx: llm.c, uint16, uint32");
}

void add_convert_verb(CLI::App& data, Action& action) {
  const auto convert = std::make_shared<ConvertVerb>();
  CLI::App* verb = add_verb(data, action, "convert", "token files for nanoGPT, OLMo and llm.c",
                            "metascale data convert corpora/small/train --format llm.c --out train",
                            convert, run_convert);
  verb->add_option("file", convert->path, "token file, with or without .bin")->required();
  verb->add_option("--format", convert->format, "what to write: llm.c, uint16 or uint32")
      ->required();
  verb->add_option("--out", convert->out, "file to write, with or without .bin")->required();
  verb->add_option("--from", convert->from,
                   "megatron, or of a file without .idx: llm.c, uint16, uint32");
  verb->add_option("--tokenizer", convert->tokenizer,
                   "of a file without .json: bytes, or the path of a tokenizer.json");
  verb->add_flag("--json", convert->json, "for machines");
}

}  // namespace

void add_data_verbs(CLI::App& app, Action& action) {
  const auto inspect = std::make_shared<InspectVerb>(), verify = std::make_shared<InspectVerb>();
  CLI::App* data = app.add_subcommand("data", "corpora and token files");
  data->require_subcommand(1);

  add_prepare_verbs(*data, action);
  CLI::App* verb = add_verb(*data, action, "inspect", "what a token file holds",
                            "metascale data inspect corpora/small/train", inspect, run_inspect);
  verb->add_option("file", inspect->path, "token file, with or without .bin")->required();
  verb->add_option("--samples", inspect->options.samples, "documents to show")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--tokenizer", inspect->options.tokenizer,
                   "bytes, or the path of the tokenizer.json that made it, for the samples");
  add_format(*verb, *inspect);
  verb->add_flag("--json", inspect->json, "for machines");

  verb = add_verb(*data, action, "verify", "check every length, offset and digest",
                  "metascale data verify corpora/small/train", verify, run_verify);
  verb->add_option("file", verify->path, "token file, with or without .bin")->required();
  verb->add_option("--tokenizer", verify->options.tokenizer,
                   "of a file without .json: bytes, or the path of a tokenizer.json");
  add_format(*verb, *verify);
  verb->add_flag("--json", verify->json, "for machines");

  add_convert_verb(*data, action);
  add_encode_verbs(*data, action);
}

}  // namespace metascale
