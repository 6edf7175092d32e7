// metascale data: corpora and token files.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "core/json_text.hpp"
#include "core/progress.hpp"
#include "data/convert.hpp"
#include "data/corpus.hpp"
#include "data/inspect.hpp"
#include "data/prepare.hpp"

namespace metascale {
namespace {

using nlohmann::json;

struct CorpusVerb {
  CorpusOptions corpus;
  bool tokens = true, json = false;
};
struct PrepareVerb {
  PrepareOptions prepare;
  std::string tokenizer = "bytes";
  bool skip_bad_lines = false, no_overlap = false, json = false;
  PrepareVerb() { prepare.threads = 0; }  // all of the machine's
};
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

json to_json(const PrepareResult& result) {
  json parts = json::object();
  for (const auto& part : result.parts)
    parts[name_of(part.split)] = {{"path", part.path.string()},
                                  {"documents", part.info.documents},
                                  {"tokens", part.info.tokens},
                                  {"bytes", part.info.bytes}};
  return {{"parts", parts},
          {"split_by_hash", result.split_by_hash},
          {"resumed", result.resumed},
          {"skipped", result.skipped},
          {"empty", result.empty},
          {"duplicates_removed", result.duplicates},
          {"overlap", parse_json(to_json_text(result.overlaps))}};
}

void print_parts(const PrepareResult& result) {
  fmt::print("{:<12} {:>10} {:>14} {:>14}  file\n", "part", "documents", "tokens", "bytes");
  for (const auto& part : result.parts)
    fmt::print("{:<12} {:>10} {:>14} {:>14}  {}.bin\n", name_of(part.split), part.info.documents,
               part.info.tokens, part.info.bytes, part.path.string());
  if (result.resumed) fmt::print("went on where an earlier call was interrupted\n");
  if (result.split_by_hash)
    fmt::print("split by a hash of each document: 3 % validation, 3 % test\n");
  if (result.skipped > 0) fmt::print("bad lines skipped: {}\n", result.skipped);
  if (result.empty > 0) fmt::print("lines without text: {}\n", result.empty);
  if (!result.split_by_hash)
    fmt::print("training texts left out because validation or test has them: {}\n",
               result.duplicates);
  for (const auto& report : result.overlaps)
    fmt::print(
        "{}: of {} documents of {} words or more, {} share a run of {} words with train, {} "
        "half of their runs or more{}\n",
        report.part, report.total.documents, overlap_words, report.total.any, overlap_words,
        report.total.half,
        report.sample < 1 ? fmt::format(" (in a sample of {:.1g} of the runs)", report.sample)
                          : "");
}

// One bar for each part of the work; where documents are read, with the speed of this process.
PrepareResult prepare_with_progress(PrepareOptions options, const Tokenizer& tokenizer) {
  Progress progress;
  std::string part;
  int bar = -1;
  auto start = std::chrono::steady_clock::now(), last = start;  // of the part; of the last call
  const auto finish = [&](const char* text) {
    if (bar >= 0) progress.finish(bar, text);
  };
  if (options.threads == 0) options.threads = int(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  options.progress = [&](const PrepareProgress& at) {
    if (at.part != part) {
      finish("done");
      bar = progress.add(part = at.part);
      start = last;
    }
    last = std::chrono::steady_clock::now();
    const double fraction =
        at.stored_total > 0 ? double(at.stored_bytes) / double(at.stored_total) : 0;
    const std::chrono::duration<double> spent = last - start;
    const double rate = double(at.bytes - at.begin_bytes) / std::max(spent.count(), 1e-3);
    progress.update(bar, fraction,
                    at.documents == 0
                        ? std::string()
                        : fmt::format("{} documents  {:.1f} MB  {:.1f} MB/s", at.documents,
                                      double(at.bytes) * 1e-6, rate * 1e-6));
  };
  PrepareResult result = prepare(options, tokenizer);
  finish("done");
  return result;
}

ExitCode run_corpus(const CorpusVerb& verb) {
  CorpusOptions options = verb.corpus;
  if (options.folder.empty()) options.folder = std::filesystem::path("corpora") / options.tier;
  options.progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  build_corpus(options);
  json words{{"tier", options.tier}, {"folder", options.folder.string()}, {"tokens", nullptr}};
  if (verb.tokens) {
    const PrepareOptions prepare{.source = options.folder, .out = options.folder, .threads = 0};
    const PrepareResult result = prepare_with_progress(prepare, *make_tokenizer("bytes"));
    words["tokens"] = to_json(result);
    if (!verb.json) print_parts(result);
  }
  if (verb.json) print_json_line(words);
  return ExitCode::good;
}

// A FIFO or a device has no size, and is gone once it was read: it cannot be gone on with.
void refuse_unstored(const std::filesystem::path& source) {
  if (std::filesystem::exists(source) && !std::filesystem::is_directory(source) &&
      !std::filesystem::is_regular_file(source))
    throw Error(fmt::format("{}: is neither a file nor a folder; write its text into a file first",
                            source.string()),
                ExitCode::usage);
}

ExitCode run_prepare(const PrepareVerb& verb) {
  refuse_unstored(verb.prepare.source);
  PrepareOptions options = verb.prepare;
  options.find_overlap = !verb.no_overlap;
  if (verb.skip_bad_lines) options.reader.bad_lines = BadLines::skip;
  const auto tokenizer = make_tokenizer(verb.tokenizer);
  const PrepareResult result = prepare_with_progress(options, *tokenizer);
  if (verb.json)
    fmt::print("{}\n", to_json(result).dump(2));
  else
    print_parts(result);
  return ExitCode::good;
}

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
  const auto corpus = std::make_shared<CorpusVerb>();
  const auto prepare = std::make_shared<PrepareVerb>();
  const auto inspect = std::make_shared<InspectVerb>(), verify = std::make_shared<InspectVerb>();
  CLI::App* data = app.add_subcommand("data", "corpora and token files");
  data->require_subcommand(1);

  CLI::App* verb = add_verb(*data, action, "corpus", "build a text corpus out of Debian packages",
                            "metascale data corpus --tier small", corpus, run_corpus);
  verb->add_option("--tier", corpus->corpus.tier, "small (14.7 MB of text), full (140 MB) or max");
  verb->add_option("--out", corpus->corpus.folder, "folder of the corpus [corpora/<tier>]");
  verb->add_option("--cache", corpus->corpus.cache, "folder of downloaded packages");
  verb->add_flag("!--no-tokens", corpus->tokens, "leave out the token files");
  verb->add_flag("--json", corpus->json, "for machines: one line at the end");

  verb = add_verb(*data, action, "prepare", "turn text into token files",
                  "metascale data prepare my.jsonl.zst --out corpora/mine", prepare, run_prepare);
  verb->add_option("source", prepare->prepare.source, ".jsonl, .jsonl.zst, .txt or a folder")
      ->required();
  verb->add_option("--out", prepare->prepare.out, "folder of the token files")->required();
  verb->add_option("--tokenizer", prepare->tokenizer, "bytes, or the path of a tokenizer.json");
  verb->add_flag("--skip-bad-lines", prepare->skip_bad_lines, "count them instead of ending");
  verb->add_option("--threads", prepare->prepare.threads, "0: as many as there are processors")
      ->check(CLI::Range(0, 4096));
  verb->add_option("--longest-line", prepare->prepare.reader.longest_line,
                   "bytes; twice as much memory is needed")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--no-overlap", prepare->no_overlap,
                 "leave out the search for runs of 13 words of validation and test in train");
  verb->add_flag("--json", prepare->json, "for machines");

  verb = add_verb(*data, action, "inspect", "what a token file holds",
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
