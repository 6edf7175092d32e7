#include <catch2/catch.hpp>
#include <random>

#include "data/bpe/characters.hpp"
#include "data/bpe/normalization.hpp"
#include "data/bpe/unicode_tables.hpp"

namespace metascale {
namespace {

std::string utf8(const std::u32string& codes) {
  std::string text;
  for (const char32_t code : codes) append_character(text, code);
  return text;
}

std::string nfc(const std::string& text) {
  std::string storage;
  return std::string(normalize(text, storage));
}

struct Case {
  const char* what;
  std::u32string text, expected;
};

TEST_CASE("NFC is that of Unicode 9.0") {
  const auto example = GENERATE(
      Case{"a letter and its accent compose", U"e\u0301x", U"\u00e9x"},
      Case{"a letter takes several accents, one by one", U"A\u0302\u0301", U"\u1ea4"},
      Case{"accents are put in order, and the first may be taken", U"a\u0301\u0327",
           U"\u00e1\u0327"},
      Case{"an accent of the same class blocks the next", U"a\u0305\u0301", U"a\u0305\u0301"},
      Case{"an accent of another class does not", U"a\u0327\u0301", U"\u00e1\u0327"},
      Case{"a letter between blocks", U"eb\u0301\u0301", U"eb\u0301\u0301"},
      Case{"a lone accent stays", U"\u0301e", U"\u0301e"},
      Case{"an accent at the end of the text", U"xe\u0300", U"x\u00e8"},
      Case{"a single stands for another for ever", U"\u212b\u2126\u212a", U"\u00c5\u03a9K"},
      Case{"excluded composites fall apart", U"\u0958", U"\u0915\u093c"},
      Case{"and do not come back", U"\u0915\u093c", U"\u0915\u093c"},
      Case{"an accent that is two", U"a\u0344", U"\u00e4\u0301"},
      Case{"a compatibility ideograph", U"\uf900", U"\u8c48"},
      Case{"Hangul letters make a syllable", U"\u1100\u1161\u11a8", U"\uac01"},
      Case{"a tail joins a syllable without one", U"\uac00\u11a8", U"\uac01"},
      Case{"a tail does not join one that has one", U"\uac01\u11a8", U"\uac01\u11a8"},
      Case{"a syllable stays", U"\ud7a3", U"\ud7a3"},
      Case{"U+11A7 is no tail", U"\uac00\u11a7", U"\uac00\u11a7"},
      Case{"a pair beyond the basic plane", U"\U00011131\U00011127", U"\U0001112e"},
      Case{"a pair of Unicode 13 does not compose", U"\U00011935\U00011930",
           U"\U00011935\U00011930"},
      Case{"compatibility forms stay", U"\ufb01\u00bd", U"\ufb01\u00bd"});
  INFO(example.what);
  CHECK(nfc(utf8(example.text)) == utf8(example.expected));
}

TEST_CASE("text in NFC is not copied") {
  std::string storage;
  const std::string text = utf8(U"plain, \u00e9, \u6f22\u5b57, \U0001f600, \u201cquoted\u201d");
  CHECK(normalize(text, storage).data() == text.data());
}

TEST_CASE("every primary composite comes back from its parts") {
  for (const CompositionPair& pair : unicode_composition_pairs())
    CHECK(nfc(utf8({pair.first, pair.second})) == utf8({pair.composed}));
}

TEST_CASE("every syllable comes back from its letters") {
  for (char32_t i = 0; i < 19 * 21 * 28; ++i) {
    std::u32string letters{char32_t(0x1100 + i / (21 * 28)), char32_t(0x1161 + i / 28 % 21)};
    if (i % 28 != 0) letters += char32_t(0x11a7 + i % 28);
    if (nfc(utf8(letters)) != utf8({char32_t(0xac00 + i)})) FAIL_CHECK("syllable " << int(i));
  }
}

TEST_CASE("NFC of random mixtures is in NFC, and stable letters cut it") {
  std::mt19937 random(3);
  std::u32string alphabet =
      U"aeK\u00e9\u1100\u1161\u11a8\uac00\u0915\u212b\u0344\u0327\u0301\u0323";
  for (const CombiningRange& range : unicode_combining_ranges()) alphabet += range.first;
  for (int round = 0; round < 3000; ++round) {
    std::u32string codes;
    while (codes.size() < 12) codes += alphabet[random() % alphabet.size()];
    const std::string once = nfc(utf8(codes));
    CHECK(nfc(once) == once);
    const std::string other = utf8(codes.substr(round % 12));
    CHECK(nfc(utf8(codes) + "-" + other) == once + "-" + nfc(other));
  }
}

}  // namespace
}  // namespace metascale
