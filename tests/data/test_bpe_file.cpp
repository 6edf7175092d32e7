#include <catch2/catch.hpp>
#include <random>

#include "data/bpe/tokenizer_file.hpp"
#include "data/tokenizer.hpp"
#include "tests/data/small_bpe.hpp"

namespace metascale {
namespace {

using nlohmann::json;
using testing::error_of;
using testing::TemporaryFolder;

const json& small() {
  static const json file = testing::learn_small_bpe().json();
  return file;
}

std::string refusal_of(const std::string& text) {
  return error_of(ExitCode::bad_input, [&] { parse_tokenizer_file(text, "t.json"); });
}

struct Change {
  std::string place;  // JSON pointer
  json value;
  std::string error;  // contains
};

TEST_CASE("features that are not known are refused by name") {
  const json byte_level = small()["pre_tokenizer"];
  const auto change = GENERATE_COPY(
      Change{"/normalizer",
             {{"type", "NFKC"}},
             "t.json: normalizer.type: is \"NFKC\"; this program knows only \"NFC\""},
      Change{"/normalizer",
             {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Strip"}}}}},
             "normalizer: is a Sequence of 2"},
      Change{"/pre_tokenizer", nullptr, "pre_tokenizer is null"},
      Change{"/pre_tokenizer", {{"type", "Metaspace"}}, "pre_tokenizer.type: is \"Metaspace\""},
      Change{"/pre_tokenizer", {{"type", "Split"}, {"pattern", "x"}}, "is \"Split\""},
      Change{"/pre_tokenizer/add_prefix_space", true, "pre_tokenizer.add_prefix_space: is true"},
      Change{"/pre_tokenizer/use_regex", false, "pre_tokenizer.use_regex: is false"},
      Change{"/pre_tokenizer/new", 1, "pre_tokenizer: 'new' is a feature"},
      Change{"/post_processor", {{"type", "RobertaProcessing"}}, "post_processor.type"},
      Change{"/decoder", {{"type", "WordPiece"}}, "decoder.type"},
      Change{"/truncation", {{"max_length", 5}}, "truncation: is {\"max_length\":5}"},
      Change{"/padding", 1, "padding: is 1"}, Change{"/surprise", 1, "'surprise' is a feature"},
      Change{"/model/type", "Unigram", "model.type: is \"Unigram\""},
      Change{"/model/dropout", 0.1, "model.dropout: is 0.1"},
      Change{"/model/unk_token", "<unk>", "model.unk_token: is \"<unk>\""},
      Change{"/model/byte_fallback", true, "model.byte_fallback: is true"},
      Change{"/model/ignore_merges", true, "model.ignore_merges: is true"},
      Change{"/model/continuing_subword_prefix", "##", "model.continuing_subword_prefix"},
      Change{"/model/end_of_word_suffix", "</w>", "model.end_of_word_suffix"},
      Change{"/model/new", 1, "model: 'new' is a feature"},
      Change{"/added_tokens/1/lstrip", true, "added_tokens[1].lstrip: is true"},
      Change{"/added_tokens/1/rstrip", true, "added_tokens[1].rstrip: is true"},
      Change{"/added_tokens/1/single_word", true, "added_tokens[1].single_word: is true"});
  json file = small();
  file[json::json_pointer(change.place)] = change.value;
  CHECK_THAT(refusal_of(file.dump()), Catch::Contains(change.error));
}

TEST_CASE("damaged files are refused, and the error says where") {
  const auto change = GENERATE(
      Change{"/model", 5, "model: is 5, not an object"},
      Change{"/model/vocab", json::array(), "model.vocab: is [], not an object"},
      Change{"/model/vocab/a", "x", "model.vocab['a']: is \"x\", not a whole number"},
      Change{"/model/vocab/a", -1, "is -1, not a whole number"},
      Change{"/model/vocab/a", 1.5, "is 1.5, not a whole number"},
      Change{"/model/vocab/a", 4'000'000'000, "is 4000000000, not a whole number from 0 to"},
      Change{"/model/vocab/a", 2'000'000, "is 2000000, not a whole number from 0 to"},
      Change{"/model/vocab/new", 100, "the id 100 is given twice"},
      Change{"/model/merges", 7, "model.merges: is 7, not a list"},
      Change{"/model/merges/3", 7, "model.merges[3]: is 7, not two texts"},
      Change{"/model/merges/3", "ab", "model.merges[3]: is \"ab\", not two texts"},
      Change{"/model/merges/3", "a b c", "not two texts"},
      Change{"/model/merges/3", {"a"}, "model.merges[3]: is [\"a\"], not two texts"},
      Change{"/model/merges/3", "Q Z", "model.merges[3]: model.vocab has no token 'QZ'"},
      Change{"/model/merges/3", "no a", "model.vocab has no token 'no'"},
      Change{"/added_tokens", nullptr, "added_tokens: is null, not a list"},
      Change{"/added_tokens/1/id", 100, "added_tokens[1]: the id 100 is given twice"},
      Change{"/added_tokens/1/content", "", "added_tokens[1]: content is empty"},
      Change{"/added_tokens/1/content", 5, "added_tokens[1].content: is 5, not a text"},
      Change{"/added_tokens/1/normalized", 5, "normalized: is 5, not true or false"},
      Change{"/added_tokens/2/content", "  ", "added_tokens[2]: id is 2, but"},
      Change{"/added_tokens/0/content", "<|end|>", "has no token <|endoftext|>"});
  json file = small();
  file[json::json_pointer(change.place)] = change.value;
  CHECK_THAT(refusal_of(file.dump()), Catch::Contains(change.error));
}

TEST_CASE("a merge that stands twice is refused") {
  json file = small();
  file["model"]["merges"].push_back(file["model"]["merges"][0]);
  CHECK_THAT(refusal_of(file.dump()), Catch::Contains("stands twice"));
}

TEST_CASE("a vocabulary that lacks a byte of UTF-8 is refused, and one without C0 is not") {
  json file = small();
  file["model"]["vocab"].erase("\xc3\x80");  // the letter for byte C0
  CHECK_NOTHROW(parse_tokenizer_file(file.dump(), "t.json"));
  file["model"]["vocab"].erase("!");
  CHECK_THAT(refusal_of(file.dump()), Catch::Contains("has no token for the byte 33, '!'"));
}

TEST_CASE("missing keys are refused") {
  const std::string key = GENERATE("model", "added_tokens", "pre_tokenizer", "decoder");
  json file = small();
  file.erase(key);
  CHECK_THAT(refusal_of(file.dump()), Catch::Contains(key));
}

TEST_CASE("a file cut anywhere is refused") {
  const std::string whole = small().dump();
  for (std::size_t size = 0; size < whole.size(); size += 97)
    CHECK_THAT(refusal_of(whole.substr(0, size)), Catch::Contains("t.json: is not JSON"));
  CHECK_THAT(refusal_of(std::string(100'000, '[')), Catch::Contains("is not JSON"));
}

TEST_CASE("a file that is nested a million deep is refused, and not shown") {
  const std::size_t deep = 1'000'000;
  const std::string nested = std::string(deep, '[') + std::string(deep, ']');
  CHECK_THAT(refusal_of(nested), Catch::Contains("nested too deep"));
  CHECK_THAT(refusal_of("{\"model\":" + nested + "}"), Catch::Contains("nested too deep"));
}

TEST_CASE("a file with bytes changed at random is read or refused, and nothing else") {
  const std::string whole = small().dump();
  std::mt19937 random(11);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i)
      damaged[random() % damaged.size()] = "\"{}[],:0 9a\\-"[random() % 14];
    try {
      parse_tokenizer_file(damaged, "t.json");
    } catch (const Error& error) {
      CHECK(error.code == ExitCode::bad_input);
      ++refused;
    }
  }
  CHECK(refused > 150);
}

TEST_CASE("GPT-2's own form is read: no NFC, merges as pairs, empty prefixes") {
  json file = small();
  file["normalizer"] = nullptr;
  file["model"]["continuing_subword_prefix"] = "";
  file["model"]["end_of_word_suffix"] = "";
  file["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", {file["pre_tokenizer"]}}};
  for (json& merge : file["model"]["merges"]) {
    const std::string both = merge;
    merge = json::array({both.substr(0, both.find(' ')), both.substr(both.find(' ') + 1)});
  }
  const TokenizerFile read = parse_tokenizer_file(file.dump(), "t.json");
  CHECK_FALSE(read.normalizes);
  CHECK(read.merges.size() == file["model"]["merges"].size());
}

TEST_CASE("the identity changes with what ids depend on, and with nothing else") {
  const TemporaryFolder folder;
  const auto identity_of = [&](const json& file, int indent) {
    return make_tokenizer(folder.write("t.json", file.dump(indent)).string())->identity();
  };
  const std::string original = identity_of(small(), -1);
  CHECK(identity_of(small(), 2) == original);
  json file = small();
  file["added_tokens"][0]["special"] = false;
  CHECK(identity_of(file, -1) == original);
  file["added_tokens"][1]["normalized"] = false;
  CHECK(identity_of(file, -1) != original);
  file = small();
  std::swap(file["model"]["merges"][0], file["model"]["merges"][1]);
  CHECK(identity_of(file, -1) != original);
  file = small();
  file["normalizer"] = nullptr;
  CHECK(identity_of(file, -1) != original);
}

TEST_CASE("a name that is no file is refused") {
  const TemporaryFolder folder;
  for (const std::string& name : {std::string("nowhere.json"), folder.path().string()})
    CHECK_THAT(error_of(ExitCode::usage, [&] { make_tokenizer(name); }),
               Catch::Contains(name) && Catch::Contains("tokenizer.json"));
}

}  // namespace
}  // namespace metascale
