// Documents longer than what is tokenised at a time.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <random>

#include "data/preparation/block_encoder.hpp"
#include "data/preparation/held_out.hpp"
#include "data/prepare.hpp"
#include "tests/data/small_bpe.hpp"
#include "tests/support/sanitizer.hpp"

namespace metascale {
namespace {

using testing::error_of;
using testing::is_sanitized;
using testing::TemporaryFolder;

constexpr std::size_t mebibyte = std::size_t(1) << 20;

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

// All that has a say in where words, added tokens and normalised letters begin and end.
std::string random_text(unsigned seed, int parts) {
  static const std::vector<std::string> pieces{
      "a",         "b",  "ab", "\n",  "\n\n", " ",    "  ", "   ", "\t", "\xc3\xa9",
      "e\xcc\x81", "'s", "'",  "'re", "12",   "c\na", "S",  "r",   "e",  "<|endoftext|>",
      "\xcc\x81",  "."};
  std::mt19937 random(seed);
  std::string text;
  for (int i = 0; i < parts; ++i) text += pieces[random() % pieces.size()];
  return text;
}

TEST_CASE("a text cut where the tokenizer says has the ids of the whole") {
  const TemporaryFolder folder;
  const auto tokenizer = GENERATE(false, true)
                             ? make_tokenizer("bytes")
                             : make_tokenizer(testing::learn_small_bpe().write(folder).string());
  int cuts = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    const std::string text = random_text(seed, 40);
    for (std::size_t most = text.size(); most > 0; --most) {
      const std::size_t length = tokenizer->cut(text, most);
      if (length == 0) break;
      REQUIRE(length <= most);
      REQUIRE(length < text.size());
      auto ids = ids_of(*tokenizer, text.substr(0, length));
      const auto rest = ids_of(*tokenizer, text.substr(length));
      ids.insert(ids.end(), rest.begin(), rest.end());
      REQUIRE(ids == ids_of(*tokenizer, text));
      most = length;
      ++cuts;
    }
  }
  CHECK(cuts > 300);
}

TEST_CASE("a document of several pieces has the ids of the whole, on any number of threads") {
  const TemporaryFolder folder;
  const auto tokenizer = make_tokenizer(testing::learn_small_bpe().write(folder).string());
  const Document document{.text = random_text(1, 1'000'000)};
  REQUIRE(document.text.size() > 5 * mebibyte / 4);
  BlockEncoder encoder(*tokenizer, GENERATE(1, 2));
  std::vector<std::int32_t> ids;
  int pieces = 0;
  encoder.encode(std::span(&document, 1), [&](const Document&, auto part, bool last) {
    ids.insert(ids.end(), part.begin(), part.end());
    ++pieces;
    CHECK(last == (ids.back() == tokenizer->end_of_document() && pieces > 1));
  });
  CHECK(pieces >= 2);
  auto expected = ids_of(*tokenizer, document.text);
  expected.push_back(tokenizer->end_of_document());
  CHECK((ids == expected));
}

TEST_CASE("a text without a place to cut it is refused with file and line, or skipped") {
  const TemporaryFolder folder;
  const auto tokenizer = make_tokenizer(testing::learn_small_bpe().write(folder).string());
  const std::string monster(17 * mebibyte, '.');
  folder.write("in/train.jsonl",
               "{\"text\": \"a\"}\n{\"text\": \"" + monster + "\"}\n{\"text\": \"b\"}\n");
  folder.write("in/test.jsonl", "{\"text\": \"c\"}\n");
  PrepareOptions options{.source = folder / "in", .out = folder / "out"};
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("train.jsonl:2: ") && Catch::Contains("bounded memory"));
  options.reader.bad_lines = BadLines::skip;
  const SkippedLines skipped = prepare(options, *tokenizer).skipped;
  CHECK(skipped.count == 1);
  CHECK_THAT(skipped.named.at(0), Catch::Contains("train.jsonl:2: "));
  CHECK(TokenFile(folder / "out/train").documents() == 2);
}

// Peak resident memory of a process that does it, in bytes; 0 where it failed.
template <typename Body>
std::int64_t peak_of(Body&& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      body();
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? usage.ru_maxrss * 1024 : 0;
}

std::int64_t peak_of_preparing(const PrepareOptions& options, const std::string& tokenizer) {
  return peak_of([&] { prepare(options, *make_tokenizer(tokenizer)); });
}

// What reading a file takes more than reading next to nothing.
std::int64_t memory_of_reading(const std::filesystem::path& file, std::size_t text_bytes) {
  const auto read = [](const std::filesystem::path& path, std::size_t bytes) {
    DocumentReader reader({path});
    Document document;
    if (!reader.next(document) || document.text.size() != bytes)
      throw Error("not what was written");
  };
  const auto small = file.parent_path() / "small.jsonl";
  std::ofstream(small) << "{\"text\":\"a\"}";
  const std::int64_t base = peak_of([&] { read(small, 1); });
  const std::int64_t peak = peak_of([&] { read(file, text_bytes); });
  REQUIRE(base > 0);
  REQUIRE(peak > base);
  return peak - base;
}

// The line itself may stay in the allocator's hands.
TEST_CASE("reading a long line takes at most itself and twice its repaired bytes of memory") {
  const TemporaryFolder folder;
  const auto [byte, count, repaired] = GENERATE(table<char, std::size_t, std::size_t>({
      {'x', 36'000'000, 36'000'000},
      {'\xff', 18'000'000, 54'000'000},
  }));
  const auto file = folder.write("a.jsonl", "{\"text\":\"" + std::string(count, byte) + "\"}\n");
  const std::int64_t memory = memory_of_reading(file, repaired);  // it is read, or this fails
  if (is_sanitized)
    WARN("it was read; in how much memory is not told here");
  else
    CHECK(memory < std::int64_t(count + 2 * repaired + 16 * mebibyte));
}

TEST_CASE("many small documents take no more memory than a few long ones") {
  const TemporaryFolder folder;
  const auto peak = [&](int documents) {
    const std::string in = fmt::format("in-{}", documents);
    std::filesystem::create_directories(folder / in);
    std::ofstream file(folder / in / "train.jsonl", std::ios::binary);
    for (int i = 0; i < documents; ++i) file << "{\"text\":\"a\"}\n";
    file.close();
    folder.write(in + "/test.jsonl", "{\"text\": \"other\"}\n");
    return peak_of_preparing(
        {.source = folder / in, .out = folder / ("out" + in), .find_overlap = false}, "bytes");
  };
  const std::int64_t few = peak(1), many = peak(500'000);
  CHECK(few > 0);
  CHECK(many < few + std::int64_t((is_sanitized ? 120 : 40) * mebibyte));
}

TEST_CASE("the hashes of held-out texts are held once") {
  const TemporaryFolder folder;
  const auto peak = [&](int texts) {
    return peak_of([&] {
      HeldOutTexts held_out(folder / fmt::format("held-out-{}", texts));
      for (int i = 0; i < texts; ++i) held_out.add(fmt::format("text {}", i));
      if (!held_out.holds("text 0") || held_out.holds("text -1")) throw Error("not what was added");
    });
  };
  constexpr int texts = 1'500'000;
  const std::int64_t few = peak(1), many = peak(texts);
  CHECK(few > 0);
  CHECK(many < few + (is_sanitized ? 6 : 1) * (texts * 16 + std::int64_t(8 * mebibyte)));
}

TEST_CASE("words of megabytes are tokenised in 50 bytes of memory for each of theirs", "[.slow]") {
  const TemporaryFolder folder;
  const std::string tokenizer = testing::learn_small_bpe().write(folder).string();
  const auto peak = [&](std::size_t bytes) {
    const std::string in = fmt::format("in-{}", bytes);
    std::string word;
    while (word.size() < bytes) word += "abacabc";
    const std::string line = "{\"text\": \"" + word.substr(0, bytes) + "\"}\n";
    folder.write(in + "/train.jsonl", line + line + line);
    folder.write(in + "/test.jsonl", "{\"text\": \"other\"}\n");
    return peak_of_preparing(
        {.source = folder / in, .out = folder / ("out" + in), .threads = 3, .find_overlap = false},
        tokenizer);
  };
  const std::int64_t small = peak(10), large = peak(BlockEncoder::longest_uncut);
  CHECK(small > 0);
  CHECK(large < small + std::int64_t(50 * BlockEncoder::longest_uncut + 32 * mebibyte));
}

TEST_CASE("a line of 125 MB that is not UTF-8 is refused, one of 100 MB read, in less than 1 GiB",
          "[.slow]") {
  const TemporaryFolder folder;
  const bool fits = GENERATE(true, false);
  folder.write("in/train.jsonl", "{\"text\": \"first\"}\n{\"text\": \"" +
                                     std::string(fits ? 100'000'000 : 125'000'000, '\xff') +
                                     "\"}\n{\"text\": \"last\"}\n");
  folder.write("in/test.jsonl", "{\"text\": \"other\"}\n");
  const std::int64_t peak = peak_of_preparing({.source = folder / "in",
                                               .out = folder / "out",
                                               .reader = {.bad_lines = BadLines::skip},
                                               .find_overlap = false},
                                              "bytes");
  CHECK(peak > 0);
  CHECK(peak < std::int64_t(1) << 30);
  const TokenFile file(folder / "out/train");
  CHECK(file.documents() == (fits ? 3 : 2));
  CHECK(file.tokens() == (fits ? 300'000'000 + 1 : 0) + 5 + 4 + 2);
}

TEST_CASE("a document of 300 MB is prepared in less than 768 MiB", "[.slow]") {
  const TemporaryFolder folder;
  const std::string tokenizer = GENERATE(false, true)
                                    ? std::string("bytes")
                                    : testing::learn_small_bpe().write(folder).string();
  std::filesystem::create_directories(folder / "in");
  std::int64_t bytes = 0;
  {
    std::ofstream file(folder / "in/train.jsonl", std::ios::binary);
    file << "{\"text\": \"first\"}\n{\"text\": \"";
    const std::string part = "abca bac cab aab\\n";
    std::string block;
    for (int i = 0; i < 1000; ++i) block += part;
    for (; bytes < 300'000'000; bytes += 17'000) file << block;
    file << "\"}\n{\"text\": \"last\"}\n";
  }
  folder.write("in/test.jsonl", "{\"text\": \"other\"}\n");
  const std::int64_t peak = peak_of_preparing(
      {.source = folder / "in", .out = folder / "out", .find_overlap = false}, tokenizer);
  CHECK(peak > 0);
  CHECK(peak < std::int64_t(768 * mebibyte));
  const TokenFile file(folder / "out/train");
  CHECK(file.documents() == 3);
  CHECK(file.bytes_of(1) == bytes);
}

TEST_CASE("memory does not grow with the source", "[.slow]") {
  const TemporaryFolder folder;
  const auto peak = [&](int megabytes) {
    std::string line = "{\"text\": \"";
    for (int i = 0; i < 60; ++i) line += "abca bac cab aab\\n";
    const std::string in = fmt::format("in-{}", megabytes);
    std::filesystem::create_directories(folder / in);
    std::ofstream file(folder / in / "train.jsonl", std::ios::binary);
    for (int i = 0; i < megabytes * 960; ++i) file << line << i << "\"}\n";
    file.close();
    folder.write(in + "/test.jsonl", "{\"text\": \"other\"}\n");
    // The search for overlap maps the finished files: what is resident of them says nothing.
    return peak_of_preparing(
        {.source = folder / in, .out = folder / ("out" + in), .find_overlap = false}, "bytes");
  };
  const std::int64_t small = peak(40), large = peak(160);
  CHECK(small > 0);
  CHECK(large < small + std::int64_t(16 * mebibyte));
}

}  // namespace
}  // namespace metascale
