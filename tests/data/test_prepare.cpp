#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "data/prepare.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::bytes_of;
using testing::error_of;
using testing::TemporaryFolder;

const auto tokenizer = make_tokenizer("bytes");

std::string line(const std::string& text, const std::string& domain) {
  return fmt::format("{{\"text\": \"{}\", \"meta\": {{\"pile_set_name\": \"{}\"}}}}\n", text,
                     domain);
}

std::string text_of(const TokenFile& file, std::int64_t document) {
  const std::int64_t begin = file.document_begin(document);
  std::vector<std::int32_t> ids(std::size_t(file.document_begin(document + 1) - begin));
  file.read(begin, std::int64_t(ids.size()), ids.data());
  REQUIRE(ids.back() == 256);
  return tokenizer->decode(ids);
}

std::set<std::string> texts_of(const std::filesystem::path& path) {
  const TokenFile file(path);
  std::set<std::string> texts;
  for (std::int64_t document = 0; document < file.documents(); ++document)
    texts.insert(text_of(file, document));
  return texts;
}

// 400 documents of two domains with texts of equal length.
std::string many_lines() {
  std::string lines;
  for (int i = 0; i < 400; ++i)
    lines += line(fmt::format("document number {:04}", i), i % 2 ? "odd" : "even");
  return lines;
}

TEST_CASE("files called train, val and test become the three parts") {
  const TemporaryFolder folder;
  folder.write("in/train-000.jsonl", line("first", "a") + line("second", "b"));
  folder.write("in/train-001.jsonl", line("third", "a"));
  folder.write("in/val.jsonl", line("v\\u00e4l", "a"));
  folder.write("in/test.jsonl", line("test", "b"));
  const PrepareResult result =
      prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer);
  CHECK_FALSE(result.split_by_hash);
  REQUIRE(result.parts.size() == 3);
  const TokenFile train(folder / "out/train");
  CHECK(train.documents() == 3);
  CHECK(text_of(train, 2) == "third");
  CHECK(train.domains()[std::size_t(train.domain_of(1))] == "b");
  CHECK(train.info().sources.size() == 2);
  CHECK(TokenFile(folder / "out/validation").info().bytes == 4);
  CHECK(texts_of(folder / "out/test") == std::set<std::string>{"test"});
}

TEST_CASE("files in folders called train, val and test become the three parts") {
  const TemporaryFolder folder;
  folder.write("train/00.jsonl", line("a", "x"));
  folder.write("val/00.jsonl", line("b", "x"));
  folder.write("test/00.jsonl", line("c", "x"));
  prepare({.source = folder.path(), .out = folder / "out"}, *tokenizer);
  CHECK(texts_of(folder / "out/validation") == std::set<std::string>{"b"});
}

TEST_CASE("a source without parts is split by the hash of its texts, in each domain") {
  const TemporaryFolder folder;
  const auto source = folder.write("all.jsonl", many_lines());
  const PrepareResult result = prepare({.source = source, .out = folder / "out"}, *tokenizer);
  CHECK(result.split_by_hash);
  std::map<std::string, std::int64_t> documents;
  for (const PreparedPart& part : result.parts)
    for (const DomainCount& domain : part.info.domains)
      documents[std::string(name_of(part.split)) + " " + domain.name] = domain.documents;
  CHECK(documents == std::map<std::string, std::int64_t>{{"test even", 6},
                                                         {"test odd", 6},
                                                         {"train even", 188},
                                                         {"train odd", 188},
                                                         {"validation even", 6},
                                                         {"validation odd", 6}});
}

TEST_CASE("the split depends on the texts, not on their files or order") {
  const TemporaryFolder folder;
  std::string reversed;
  const std::string lines = many_lines();
  for (std::size_t end = lines.size(); end > 0;) {
    const std::size_t begin = end < 2 ? 0 : lines.rfind('\n', end - 2) + 1;
    reversed += lines.substr(begin, end - begin);
    end = begin;
  }
  prepare({.source = folder.write("a.jsonl", lines), .out = folder / "one"}, *tokenizer);
  prepare({.source = folder.write("b.jsonl", reversed), .out = folder / "two"}, *tokenizer);
  for (const Split split : all_splits)
    CHECK(texts_of(folder / "one" / name_of(split)) == texts_of(folder / "two" / name_of(split)));
}

// 200 texts under A and B, of which A has more, so that their borders lie apart; some are under C
// too, a small domain, whose borders are those of the pool.
std::string shared_lines() {
  std::string lines;
  for (int i = 0; i < 200; ++i) {
    const std::string text = fmt::format("shared text number {:03}", i);
    lines += line(text, "A") + line(text, "B");
    if (i < 90) lines += line(text, "C");
    lines += line(fmt::format("own {:03} {}", i, std::string(std::size_t(i), 'a')), "A");
  }
  return lines;
}

TEST_CASE("equal texts are in one part") {
  const TemporaryFolder folder;
  const auto [lines, different] = GENERATE(
      table<std::string, std::size_t>({{many_lines() + many_lines(), 400}, {shared_lines(), 400}}));
  folder.write("in/a.jsonl", lines);
  folder.write("in/b.jsonl", line("one more", "C"));
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  const bool is_kept = GENERATE(false, true);  // the split, by a process that ended
  if (is_kept) {
    int looks = 0;
    options.progress = [&](const PrepareProgress& at) {
      if (at.part == "tokens" && ++looks == 2) throw std::runtime_error("ended");
    };
    CHECK_THROWS_WITH(prepare(options, *tokenizer), "ended");
    options.progress = {};
  }
  CHECK(prepare(options, *tokenizer).resumed == is_kept);
  std::set<std::string> all;
  std::size_t sum = 0;
  for (const Split split : all_splits) {
    const auto texts = texts_of(folder / "out" / name_of(split));
    all.insert(texts.begin(), texts.end());
    sum += texts.size();
  }
  CHECK(all.size() == different + 1);
  CHECK(sum == different + 1);
}

std::set<std::string> domains_of(const std::filesystem::path& path) {
  const TokenFile file(path);
  return {file.domains().begin(), file.domains().end()};
}

TEST_CASE("what names no domain is of its first folder's, or of the source's, never of a file's") {
  const TemporaryFolder folder;
  for (int i = 0; i < 150; ++i)
    for (const char* place : {"books/one", "books/two", "letters", "."})
      folder.write(fmt::format("in/{}/{:03}.txt", place, i), fmt::format("{} {}", place, i));
  folder.write("in/lines.jsonl", "{\"text\": \"of no domain\"}\n");
  const std::string ending = GENERATE("in", "in/", "in/.");
  prepare({.source = folder / ending, .out = folder / "out"}, *tokenizer);
  const std::set<std::string> expected{"books", "in", "letters"};
  CHECK(domains_of(folder / "out/validation") == expected);
  CHECK(domains_of(folder / "out/test") == expected);
  CHECK(domains_of(folder / "out/train") == expected);
}

TEST_CASE("the parts of a source that names no domains are of the same") {
  const TemporaryFolder folder;
  for (const char* part : {"train", "val", "test"}) {
    folder.write(fmt::format("in/{}/books/a.txt", part), fmt::format("a book to {}", part));
    folder.write(fmt::format("in/{}/b.txt", part), fmt::format("a text to {}", part));
    folder.write(fmt::format("in/{}.txt", part), fmt::format("one more to {}", part));
    folder.write(fmt::format("in/{}.jsonl", part), fmt::format("{{\"text\": \"{}\"}}", part));
  }
  prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer);
  for (const char* part : {"train", "validation", "test"})
    CHECK(domains_of(folder / "out" / part) == std::set<std::string>{"books", "in"});
}

TEST_CASE("the first skipped lines are named in the order of reading, by a resumed call too") {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 150; ++i) lines += fmt::format("{{\"text\": \"{}\"}}\nbad {}\n", i, i);
  for (const char* part : {"test", "train"})
    folder.write(fmt::format("in/{}.jsonl", part),
                 fmt::format("{{\"text\": \"{}\"}}\n", part) + lines);
  PrepareOptions options{.source = folder / "in",
                         .out = folder / "out",
                         .reader = {.bad_lines = BadLines::skip},
                         .shard_bytes = 1};
  const SkippedLines whole = prepare(options, *tokenizer).skipped;
  CHECK(whole.count == 300);
  REQUIRE(whole.named.size() == SkippedLines::most_named);
  CHECK_THAT(whole.named[0], Catch::Contains("test.jsonl:3: the line is no JSON object"));
  CHECK_THAT(whole.named[99], Catch::Contains("test.jsonl:201: "));

  options.out = folder / "again";
  int looks = 0;
  options.progress = [&](const PrepareProgress& at) {
    if (at.part == "tokens" && ++looks == 2) throw std::runtime_error("ended");
  };
  CHECK_THROWS_WITH(prepare(options, *tokenizer), "ended");
  options.progress = {};
  const PrepareResult resumed = prepare(options, *tokenizer);
  CHECK(resumed.resumed);
  CHECK(resumed.skipped.count == 300);
  CHECK(resumed.skipped.named == whole.named);
}

TEST_CASE("a source that is one plain text is of the domain of its name") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += fmt::format("paragraph number {}\n\n", i);
  prepare({.source = folder.write("book.txt", text),
           .out = folder / "out",
           .reader = {.longest_text = 100}},
          *tokenizer);
  CHECK(domains_of(folder / "out/train") == std::set<std::string>{"book"});
}

TEST_CASE("a few documents of several domains are split together") {
  const TemporaryFolder folder;
  for (int i = 0; i < 9; ++i)
    folder.write(fmt::format("in/{}/a.txt", i), fmt::format("text of file number {}", i));
  prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer);
  CHECK(TokenFile(folder / "out/train").documents() == 7);
  CHECK(TokenFile(folder / "out/validation").documents() == 1);
  CHECK(TokenFile(folder / "out/test").documents() == 1);
}

TEST_CASE("what of a source is passed over is counted and named, but not what is written there") {
  const TemporaryFolder folder;
  folder.write("in/all.jsonl", many_lines());
  const auto out = GENERATE("in", "in/", "in/out", "out");
  const PrepareOptions options{.source = folder / "in", .out = folder / out};
  CHECK(prepare(options, *tokenizer).passed_over.count == 0);
  CHECK(prepare(options, *tokenizer).passed_over.count == 0);
  folder.write("in/more/c.json", "{}");
  folder.write("in/more/b.jsonl.gz", "x");
  const PassedOver passed = prepare(options, *tokenizer).passed_over;
  CHECK(passed.count == 2);
  CHECK(passed.first == folder / "in/more/b.jsonl.gz");
}

TEST_CASE("token files do not depend on the number of threads") {
  const TemporaryFolder folder;
  const auto source = folder.write("all.jsonl", many_lines());
  const int threads = GENERATE(2, 3);
  prepare({.source = source, .out = folder / "one", .threads = 1}, *tokenizer);
  prepare({.source = source, .out = folder / "many", .threads = threads}, *tokenizer);
  testing::check_same_files(folder / "one", folder / "many");
}

TEST_CASE("an empty corpus is refused and nothing is left") {
  const TemporaryFolder folder;
  const auto source = folder.write("empty.jsonl", GENERATE("", "\n\n", "{\"text\": \"\"}\n"));
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] { prepare({.source = source, .out = folder / "out"}, *tokenizer); }),
             Catch::Contains("the corpus is empty"));
  CHECK(std::filesystem::is_empty(folder / "out"));
}

TEST_CASE("an empty corpus of which bad lines were skipped says how many") {
  const TemporaryFolder folder;
  PrepareOptions options{.source = folder.write("bad.jsonl", "nojson\n{\"text\":5}\n"),
                         .out = folder / "out",
                         .reader = {.bad_lines = BadLines::skip}};
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("the corpus is empty") &&
                 Catch::Contains("; bad lines skipped: 2, the first: ") &&
                 Catch::Contains("bad.jsonl:1: the line is no JSON object"));
  options.source = folder / "in";
  folder.write("in/train.jsonl", "nojson\n");
  folder.write("in/test.jsonl", line("a", "x"));
  CHECK_THAT(
      error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
      Catch::Contains("no text for train") && Catch::Contains("; bad lines skipped: 1, the"));
}

TEST_CASE("a part without text is refused by its name") {
  const TemporaryFolder folder;
  folder.write("in/train.jsonl", line("a", "x"));
  folder.write("in/val.jsonl", "");
  CHECK_THAT(
      error_of(ExitCode::bad_input,
               [&] { prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer); }),
      Catch::Contains("val.jsonl") && Catch::Contains("no text for validation"));
}

TEST_CASE("no part is replaced unless all are complete") {
  const TemporaryFolder folder;
  folder.write("in/train.jsonl", line("old", "x"));
  folder.write("in/val.jsonl", line("old too", "x"));
  prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer);
  folder.write("in/train.jsonl", line("new", "x"));
  folder.write("in/val.jsonl", "no JSON\n");
  CHECK_THAT(
      error_of(ExitCode::bad_input,
               [&] { prepare({.source = folder / "in", .out = folder / "out"}, *tokenizer); }),
      Catch::Contains("val.jsonl:1"));
  CHECK(texts_of(folder / "out/train") == std::set<std::string>{"old"});
}

TEST_CASE("too few documents for three parts are refused") {
  const TemporaryFolder folder;
  const auto source = folder.write("a.jsonl", line("only", "x") + line("two", "x"));
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] { prepare({.source = source, .out = folder / "out"}, *tokenizer); }),
             Catch::Contains("too little text"));
}

TEST_CASE("one large document among small ones is refused before anything is tokenised") {
  const TemporaryFolder folder;
  std::string lines = line(std::string(1'000'000, 'x'), "a");
  for (int i = 0; i < 99; ++i) lines += line(fmt::format("small {}", i), "a");
  PrepareOptions options{.source = folder.write("a.jsonl", lines), .out = folder / "out"};
  std::set<std::string> parts;
  options.progress = [&](const PrepareProgress& at) { parts.insert(at.part); };
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("too little text for a validation part"));
  CHECK(parts == std::set<std::string>{"splitting"});
  CHECK(std::filesystem::is_empty(folder / "out"));
}

TEST_CASE("a file of no part beside files of parts is refused") {
  const TemporaryFolder folder;
  folder.write("train.jsonl", line("a", "x"));
  folder.write("test.jsonl", line("b", "x"));
  folder.write("more.jsonl", line("c", "x"));
  CHECK_THAT(
      error_of(ExitCode::bad_input,
               [&] { prepare({.source = folder.path(), .out = folder / "out"}, *tokenizer); }),
      Catch::Contains("more.jsonl: belongs to no part"));
}

TEST_CASE("a bad line stops the preparation, and what stood there before still stands") {
  const TemporaryFolder folder;
  const auto good = folder.write("good.jsonl", many_lines());
  const auto bad = folder.write("bad.jsonl", many_lines() + "{\n");
  prepare({.source = good, .out = folder / "out"}, *tokenizer);
  const std::string before = bytes_of(folder / "out/train.bin");
  CHECK_THAT(error_of(ExitCode::bad_input,
                      [&] { prepare({.source = bad, .out = folder / "out"}, *tokenizer); }),
             Catch::Contains("bad.jsonl:401"));
  CHECK(bytes_of(folder / "out/train.bin") == before);
  CHECK(texts_of(folder / "out/train").size() == 376);
}

TEST_CASE("progress ends with all documents and all stored bytes") {
  const TemporaryFolder folder;
  const auto source = folder.write("all.jsonl", many_lines());
  PrepareProgress last;
  prepare({.source = source,
           .out = folder / "out",
           .find_overlap = false,
           .progress = [&](const PrepareProgress& progress) { last = progress; }},
          *tokenizer);
  CHECK(last.documents == 400);
  CHECK(last.stored_bytes == last.stored_total);
  CHECK(last.stored_total == std::int64_t(std::filesystem::file_size(source)));
}

}  // namespace
}  // namespace metascale
