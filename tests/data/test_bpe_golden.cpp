#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "data/bpe/normalization.hpp"
#include "data/encoded_line.hpp"
#include "data/files/byte_source.hpp"
#include "data/tokenizer.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// GPT-NeoX-20B's file and the corpus are other people's: they lie beside the checkout, if at all.
const fs::path beside = METASCALE_THIRD_PARTY;
const fs::path tokenizer_file = beside / "data/20B_tokenizer.json";
const fs::path own = fs::path(METASCALE_GOLDEN) / "tokenizer";

bool is_there(const fs::path& path) {
  if (fs::exists(path)) return true;
  WARN("skipped: there is no " << path.filename());
  return false;
}

const Tokenizer& neox() {
  static const auto tokenizer = make_tokenizer(tokenizer_file.string());
  return *tokenizer;
}

std::vector<json> lines_of(const fs::path& path) {
  std::string text;
  const auto source = open_byte_source(path);
  while (source->read(text)) {
  }
  std::istringstream stream(text);
  std::vector<json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

std::string text_of(const json& line) { return line["text"].get<std::string>(); }

// The text with NFC between the tokens that are cut out before it.
std::string normalized_pieces(const std::string& text) {
  std::string all, storage;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = text.size(), length = 0;
    for (const std::string token : {"<|endoftext|>", "<|padding|>"}) {
      const std::size_t found = text.find(token, at);
      if (found < next) next = found, length = token.size();
    }
    all += normalize(std::string_view(text).substr(at, next - at), storage);
    all += text.substr(next, length);
    at = next + length;
  }
  return all;
}

// Of the ids that our encoder gave: the text comes back, and it has the bytes that they stand for.
void expect_text_back(const std::vector<std::int32_t>& ids, const std::string& text) {
  const std::string decoded = neox().decode(ids);
  if (decoded != normalized_pieces(text))
    FAIL_CHECK("decodes differently: " << text.substr(0, 300));
  std::int64_t bytes = 0;
  for (const std::int32_t id : ids) bytes += id == 0 ? 13 : neox().byte_length(id);
  if (bytes != std::int64_t(decoded.size()))
    FAIL_CHECK("bytes do not add up: " << text.substr(0, 300));
}

struct Texts {
  std::size_t count = 0;
  std::string sha256;  // of all ids as uint16, little endian
};
// Expects of every text the ids that stand in the file, and the text back; `input` says what of a
// line to encode.
Texts expect_golden(const fs::path& file, std::string (*input)(const json&)) {
  Sha256 hash;
  const std::vector<json> lines = lines_of(file);
  for (const json& line : lines) {
    std::vector<std::int32_t> ids;
    neox().encode(input(line), ids);
    if (ids != line["ids"].get<std::vector<std::int32_t>>())
      FAIL_CHECK("other ids for " << line.dump().substr(0, 300));
    expect_text_back(ids, text_of(line));
    for (const std::int32_t id : ids) {
      const std::uint8_t bytes[] = {std::uint8_t(id), std::uint8_t(id >> 8)};
      hash.update(bytes, sizeof bytes);
    }
  }
  const auto digest = hash.finish();
  return {lines.size(), to_hex(digest.data(), digest.size())};
}

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += char(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

TEST_CASE("NeoX: every id of the tricky texts is the reference's, and the text comes back") {
  if (!is_there(tokenizer_file)) return;
  const Texts texts = expect_golden(own / "tricky.jsonl.zst", text_of);
  CHECK(texts.count == 2114);
  CHECK(texts.sha256 == "355c674da13503466d44cf84246b2c5645875dd3efc6d7675dc7fc069313647f");
}

TEST_CASE("NeoX: every id of the corpus is the reference's, and the text comes back") {
  const fs::path corpus = beside / "golden/tokenizer/corpus.jsonl.zst";
  if (!is_there(tokenizer_file) || !is_there(corpus)) return;
  const Texts texts = expect_golden(corpus, text_of);
  CHECK(texts.count == 1220);
  CHECK(texts.sha256 == "1d915c0944fca96f8b6f54cd5065bb6d9383147c70f67e8c61dd0b8677a9a986");
}

TEST_CASE("NeoX: text that is not UTF-8 is repaired before it is encoded") {
  if (!is_there(tokenizer_file)) return;
  const Texts texts = expect_golden(own / "invalid_utf8.jsonl.zst", [](const json& line) {
    return bytes_of_hex(line["hex"].get<std::string>());
  });
  CHECK(texts.count == 283);
  CHECK(texts.sha256 == "992077ab643d5e80fba80faeece2240daf97298a182930334b10cec29a351978");
}

TEST_CASE("NeoX: JSON escapes are read as the reference's text, lone surrogates repaired") {
  if (!is_there(tokenizer_file)) return;
  const Texts texts = expect_golden(own / "json_escapes.jsonl.zst", [](const json& line) {
    const std::string in = "{\"text\":" + line["json"].get<std::string>() + "}";
    return text_of(json::parse(encode_line(in, neox())));
  });
  CHECK(texts.count == 13);
  CHECK(texts.sha256 == "8e185499949a151dc8b9b9ed6d73bba72e97c44f7954bcdbb400eeb944e2df21");
}

TEST_CASE("NeoX: ids and added tokens are the published ones") {
  if (!is_there(tokenizer_file)) return;
  CHECK(neox().vocabulary() == 50277);
  CHECK(neox().end_of_document() == 0);
  CHECK(neox().name() == "20B_tokenizer.json");
  CHECK(neox().byte_length(0) == 0);
  CHECK(neox().byte_length(1) == 11);
  CHECK(neox().byte_length(50254) == 24);
  CHECK(neox().byte_length(50276) == 2);
  CHECK_THROWS_AS(neox().byte_length(50277), Error);
  CHECK_THROWS_AS(neox().decode(std::vector<std::int32_t>{-1}), Error);
}

}  // namespace
}  // namespace metascale
