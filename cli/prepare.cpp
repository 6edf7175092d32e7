// metascale data corpus and prepare: token files out of text.
#include "data/prepare.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "cli/output.hpp"
#include "core/json_text.hpp"
#include "core/progress.hpp"
#include "data/corpus.hpp"
#include "data/utf8.hpp"

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
          {"passed_over",
           {{"count", result.passed_over.count},
            {"first", repair_utf8(result.passed_over.first.string())}}},
          {"skipped", result.skipped.count},
          {"skipped_lines", result.skipped.named},
          {"empty", result.empty},
          {"duplicates_removed", result.duplicates},
          {"overlap", parse_json(to_json_text(result.overlaps))}};
}

void print_skipped(const SkippedLines& skipped) {
  if (skipped.count == 0) return;
  fmt::print("bad lines skipped: {}\n", skipped.count);
  constexpr std::size_t shown = 10;
  for (std::size_t i = 0; i < std::min(shown, skipped.named.size()); ++i)
    fmt::print("  {}\n", for_stdout(skipped.named[i]));
  if (skipped.named.size() > shown) fmt::print("  ...; --json names {}\n", skipped.named.size());
}

void print_parts(const PrepareResult& result) {
  fmt::print("{:<12} {:>10} {:>14} {:>14}  file\n", "part", "documents", "tokens", "bytes");
  for (const auto& part : result.parts)
    fmt::print("{:<12} {:>10} {:>14} {:>14}  {}.bin\n", name_of(part.split), part.info.documents,
               part.info.tokens, part.info.bytes, part.path.string());
  if (result.resumed) fmt::print("went on where an earlier call was interrupted\n");
  if (result.split_by_hash)
    fmt::print("split by a hash of each document: 3 % validation, 3 % test\n");
  if (result.passed_over.count > 0)
    fmt::print("files passed over, which are none of .jsonl, .txt, .text: {}, the first: {}\n",
               result.passed_over.count, for_stdout(result.passed_over.first.string()));
  print_skipped(result.skipped);
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
  using enum std::filesystem::file_type;
  std::error_code unexamined;  // of which the search for its files tells
  const auto type = std::filesystem::status(source, unexamined).type();
  if (type != none && type != not_found && type != directory && type != regular)
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

}  // namespace

void add_prepare_verbs(CLI::App& data, Action& action) {
  const auto corpus = std::make_shared<CorpusVerb>();
  const auto prepare = std::make_shared<PrepareVerb>();
  CLI::App* verb = add_verb(data, action, "corpus", "build a text corpus out of Debian packages",
                            "metascale data corpus --tier small", corpus, run_corpus);
  verb->add_option("--tier", corpus->corpus.tier, "small (14.7 MB of text), full (140 MB) or max");
  verb->add_option("--out", corpus->corpus.folder, "folder of the corpus [corpora/<tier>]");
  verb->add_option("--cache", corpus->corpus.cache, "folder of downloaded packages");
  verb->add_flag("!--no-tokens", corpus->tokens, "leave out the token files");
  verb->add_flag("--json", corpus->json, "for machines: one line at the end");

  verb = add_verb(data, action, "prepare", "turn text into token files",
                  "metascale data prepare my.jsonl.zst --out corpora/mine", prepare, run_prepare);
  verb->add_option("source", prepare->prepare.source, ".jsonl, .jsonl.zst, .txt or a folder")
      ->required();
  verb->add_option("--out", prepare->prepare.out, "folder of the token files")->required();
  verb->add_option("--tokenizer", prepare->tokenizer, "bytes, or the path of a tokenizer.json");
  verb->add_flag("--skip-bad-lines", prepare->skip_bad_lines,
                 "name and count them instead of ending");
  verb->add_option("--threads", prepare->prepare.threads, "0: as many as there are processors")
      ->check(CLI::Range(0, 4096));
  verb->add_option("--longest-line", prepare->prepare.reader.longest_line,
                   "bytes; twice as much memory is needed")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--no-overlap", prepare->no_overlap,
                 "leave out the search for runs of 13 words of validation and test in train");
  verb->add_flag("--json", prepare->json, "for machines");
}

}  // namespace metascale
