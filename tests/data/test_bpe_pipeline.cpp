// The BPE tokenizer in what is built on tokenizers: token files, evaluation, inspection, pipes.
#include <catch2/catch.hpp>

#include "data/encoded_line.hpp"
#include "data/evaluation_windows.hpp"
#include "data/inspect.hpp"
#include "data/prepare.hpp"
#include "tests/data/small_bpe.hpp"

namespace metascale {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::TemporaryFolder;

// Texts whose NFC is shorter and longer than they are, with tokens of several bytes and added ones.
const std::vector<std::string> texts{"abab caab", "e\xcc\x81 a  b", "<|endoftext|>ab",
                                     "\xe0\xa5\x98", "a\xc3\xa9   b"};

struct Prepared {
  TemporaryFolder folder;
  std::filesystem::path file = testing::learn_small_bpe().write(folder);
  std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(file.string());

  Prepared() {
    std::string lines;
    for (const std::string& text : texts) lines += json{{"text", text}}.dump() + "\n";
    for (const char* part : {"validation", "test"})
      folder.write(concat("in/", part, ".jsonl"), lines);
    folder.write("in/train.jsonl", "{\"text\": \"abc\"}\n");  // no text of the others
    prepare({.source = folder / "in", .out = folder / "out", .threads = 2}, *tokenizer);
  }
};

TEST_CASE("token files keep the ids and the raw bytes of a BPE's documents") {
  const Prepared set;
  const TokenFile file(set.folder / "out/validation");
  CHECK(file.info().tokenizer == "small.json");
  CHECK(file.info().tokenizer_identity == set.tokenizer->identity());
  REQUIRE(file.documents() == std::int64_t(texts.size()));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::int32_t> ids;
    set.tokenizer->encode(texts[i], ids);
    ids.push_back(0);
    CHECK(file.sequence(std::int64_t(i)) == ids);
    CHECK(file.bytes_of(std::int64_t(i)) == std::int64_t(texts[i].size()));
  }
}

TEST_CASE("evaluation counts the raw bytes of every document, whatever NFC made of them") {
  const Prepared set;
  const TokenFile file(set.folder / "out/test");
  const EvaluationWindows windows(file, *set.tokenizer, 3);
  std::vector<std::int64_t> bytes(texts.size());
  for (const EvaluationSegment& segment : windows.segments())
    bytes[std::size_t(segment.document)] += segment.bytes;
  for (std::size_t i = 1; i < texts.size(); ++i)  // the first token of all is not predicted
    CHECK(bytes[i] == std::int64_t(texts[i].size()));
}

TEST_CASE("samples of an inspection need the tokenizer that made the file") {
  const Prepared set;
  CHECK(inspect_token_file(set.folder / "out/validation").samples.empty());
  const Inspection found =
      inspect_token_file(set.folder / "out/validation", {.tokenizer = set.file.string()});
  REQUIRE(found.samples.size() == 3);
  CHECK(found.samples[0].text == texts[0]);
  CHECK_THAT(
      error_of(ExitCode::bad_input,
               [&] { inspect_token_file(set.folder / "out/train", {.tokenizer = "bytes"}); }),
      Catch::Contains("was made by the tokenizer"));
}

TEST_CASE("a line of text becomes a line of ids, and back") {
  const Prepared set;
  const std::string line = encode_line("{\"text\": \"ab\\u0000<|endoftext|>\"}", *set.tokenizer);
  const json encoded = json::parse(line);
  std::vector<std::int32_t> ids;
  set.tokenizer->encode(std::string_view("ab\0<|endoftext|>", 16), ids);
  CHECK(encoded["ids"].get<std::vector<std::int32_t>>() == ids);
  CHECK(encoded["text"] == std::string("ab\0<|endoftext|>", 16));
  CHECK(decode_line(line, *set.tokenizer) == line);
  CHECK(encode_line("{\"text\":\"\"}", *set.tokenizer) == "{\"text\":\"\",\"ids\":[]}");
}

TEST_CASE("half a character in ids is repaired in a line of JSON") {
  const Prepared set;
  const std::int32_t half = testing::learn_small_bpe().id_of("\xc3\x83");  // the byte C3
  const json line = json::parse(decode_line(json{{"ids", {half}}}.dump(), *set.tokenizer));
  CHECK(line["text"] == "\xef\xbf\xbd");
}

TEST_CASE("lines that are none are refused") {
  const Prepared set;
  const std::string line = GENERATE("", "[]", "{\"text\": 5}", "{\"ids\": [1]");
  error_of(ExitCode::bad_input, [&] { encode_line(line, *set.tokenizer); });
  error_of(ExitCode::bad_input, [&] { decode_line(line, *set.tokenizer); });
}

TEST_CASE("ids that are none are refused") {
  const Prepared set;
  const std::string ids = GENERATE("[-1]", "[1.5]", "[\"a\"]", "[99999]", "[4294967296]", "5");
  error_of(ExitCode::bad_input, [&] { decode_line("{\"ids\": " + ids + "}", *set.tokenizer); });
}

}  // namespace
}  // namespace metascale
