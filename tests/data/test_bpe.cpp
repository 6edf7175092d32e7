#include <catch2/catch.hpp>
#include <ctime>
#include <random>
#include <thread>

#include "data/bpe/pretokenizer.hpp"
#include "data/tokenizer.hpp"
#include "tests/data/small_bpe.hpp"

namespace metascale {
namespace {

using testing::SmallBpe;
using testing::TemporaryFolder;
using Words = std::vector<std::string>;
using Ids = std::vector<std::int32_t>;

Words words_of(const std::string& text) {
  Words words;
  Pretokenizer().split(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

struct Case {
  std::string text;
  Words words;
};

TEST_CASE("words are cut as GPT-2's expression cuts them") {
  const auto example = GENERATE(
      Case{"", {}}, Case{"Hello world", {"Hello", " world"}}, Case{"a  b", {"a", " ", " b"}},
      Case{"a\n\nb", {"a", "\n", "\n", "b"}}, Case{"a \n", {"a", " \n"}},
      Case{"we'll don't 'S", {"we", "'ll", " don", "'t", " '", "S"}},
      Case{"'s'd'm'v've", {"'s", "'d", "'m", "'", "v", "'ve"}}, Case{"\"'s", {"\"'", "s"}},
      Case{"x1y22", {"x", "1", "y", "22"}}, Case{" 1 !?", {" 1", " !?"}},
      Case{"\xc2\xa0 a", {"\xc2\xa0", " a"}},  // no-break space
      Case{"a\xc2\x85"
           "b",
           {"a", "\xc2\x85", "b"}},  // U+0085 is white space
      Case{"a\xef\xbb\xbf"
           "b",
           {"a", "\xef\xbb\xbf", "b"}},  // U+FEFF is not
      Case{" \xef\xbb\xbf", {" \xef\xbb\xbf"}},
      Case{"\xe2\x80\xa8\xe2\x80\xa8", {"\xe2\x80\xa8\xe2\x80\xa8"}},
      Case{"\xc2\xb2\xe2\x85\xa7z", {"\xc2\xb2\xe2\x85\xa7", "z"}},  // superscript two, Roman eight
      Case{"\xf0\x90\x97\x80x", {"\xf0\x90\x97\x80x"}},  // U+105C0, a letter since Unicode 16
      Case{std::string("a\0b", 3), {"a", std::string(1, '\0'), "b"}}, Case{"'", {"'"}},
      Case{" ", {" "}}, Case{"\t x", {"\t", " x"}});
  CHECK(words_of(example.text) == example.words);
}

// The expression read letter by letter, over letters whose class is known here.
class PlainSplitter {
 public:
  Words split(const std::vector<std::string>& text) const {
    Words words;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = contraction(text, at) ? contraction(text, at) : run(text, at);
      std::string word;
      for (std::size_t i = 0; i < length; ++i) word += text[at + i];
      words.push_back(word);
      at += length;
    }
    return words;
  }

 private:
  static char kind(const std::string& letter) {
    if (letter == " " || letter == "\n" || letter == "\xc2\x85" || letter == "\xe3\x80\x80")
      return 's';
    if (letter == "1" || letter == "\xc2\xb2") return 'n';
    if (letter == "'" || letter == "!" || letter[0] == 0) return 'o';
    return 'l';
  }
  static std::size_t contraction(const std::vector<std::string>& text, std::size_t at) {
    for (const std::string word : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      std::string found;
      for (std::size_t i = at; i < text.size() && found.size() < word.size(); ++i) found += text[i];
      if (found == word) return word.size();
    }
    return 0;
  }
  static std::size_t run(const std::vector<std::string>& text, std::size_t at) {
    const bool joins = text[at] == " " && at + 1 < text.size() && kind(text[at + 1]) != 's';
    const std::size_t begin = joins ? at + 1 : at;
    std::size_t end = begin;
    while (end < text.size() && kind(text[end]) == kind(text[begin])) ++end;
    const bool gives_back = kind(text[begin]) == 's' && end < text.size() && end - at > 1;
    return (gives_back ? end - 1 : end) - at;
  }
};

std::string text_of(const std::vector<std::string>& letters) {
  std::string text;
  for (const std::string& letter : letters) text += letter;
  return text;
}

// Added tokens first, then words, then merges, each in the plain way.
Ids encode_plainly(const SmallBpe& bpe, const std::vector<std::string>& text) {
  Ids ids;
  std::vector<std::string> piece;
  const auto flush = [&] {
    for (const std::string& word : PlainSplitter().split(piece))
      for (const std::int32_t id : bpe.encode_word(word)) ids.push_back(id);
    piece.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    std::size_t blanks = 0;
    while (at + blanks < text.size() && blanks < 3 && text[at + blanks] == " ") ++blanks;
    const bool is_end = text[at] == "<|endoftext|>";
    if (!is_end && blanks < 2) {
      piece.push_back(text[at++]);
      continue;
    }
    flush();
    ids.push_back(is_end ? 0 : blanks == 2 ? 1 : 2);
    at += is_end ? 1 : blanks;
  }
  flush();
  return ids;
}

TEST_CASE("ids are those of the plain way, for random texts") {
  const TemporaryFolder folder;
  const SmallBpe bpe = testing::learn_small_bpe();
  const auto tokenizer = make_tokenizer(bpe.write(folder).string());
  const Words letters{"a",
                      "a",
                      "a",
                      "b",
                      "b",
                      "c",
                      "\xc3\xa9",
                      "\xe6\xbc\xa2",
                      "s",
                      "t",
                      "l",
                      "v",
                      "e",
                      "1",
                      "\xc2\xb2",
                      "'",
                      "!",
                      " ",
                      " ",
                      " ",
                      "\n",
                      "\xc2\x85",
                      "\xe3\x80\x80",
                      "<|endoftext|>",
                      std::string(1, '\0')};
  std::mt19937 random(5);
  for (int round = 0; round < 4000; ++round) {
    std::vector<std::string> text;
    const std::size_t few = round % 3 == 0 ? 6 : letters.size();  // long words, and short ones
    for (std::size_t size = random() % 120; size > 0; --size)
      text.push_back(letters[random() % few]);
    Ids ids;
    tokenizer->encode(text_of(text), ids);
    REQUIRE(ids == encode_plainly(bpe, text));
    CHECK(tokenizer->decode(ids) == text_of(text));
  }
}

TEST_CASE("words on both sides of the limit for linear merging are merged alike") {
  const TemporaryFolder folder;
  const SmallBpe bpe = testing::learn_small_bpe();
  const auto tokenizer = make_tokenizer(bpe.write(folder).string());
  for (const std::string unit : {"a", "ab", "aab", "abcab"})
    for (std::size_t size = 1; size < 200; ++size) {
      std::string word;
      while (word.size() < size) word += unit;
      Ids ids;
      tokenizer->encode(word, ids);
      CHECK(ids == bpe.encode_word(word));
    }
}

TEST_CASE("the time to merge a word grows about as its length, to a megabyte") {
  const TemporaryFolder folder;
  const auto tokenizer = make_tokenizer(testing::learn_small_bpe().write(folder).string());
  const auto time_of = [&](std::size_t bytes) {  // of this process: the machine may be busy
    std::string word;
    while (word.size() < bytes) word += "abacabc";
    Ids ids;
    const std::clock_t start = std::clock();
    tokenizer->encode(word, ids);
    const double ticks = double(std::clock() - start);
    CHECK(ids.size() < word.size() / 2);
    CHECK(tokenizer->decode(ids) == word);
    return ticks;
  };
  time_of(50'000);                                   // warm: pages
  CHECK(time_of(1'000'000) < 80 * time_of(50'000));  // a square would be 400
}

TEST_CASE("ids are appended, and an empty document has none") {
  const TemporaryFolder folder;
  const auto tokenizer = make_tokenizer(testing::learn_small_bpe().write(folder).string());
  Ids ids{-5};
  tokenizer->encode("", ids);
  CHECK(ids == Ids{-5});
  tokenizer->encode("<|endoftext|>", ids);
  CHECK(ids == Ids{-5, 0});
}

TEST_CASE("threads that encode at once get the same ids") {
  const TemporaryFolder folder;
  const auto tokenizer = make_tokenizer(testing::learn_small_bpe().write(folder).string());
  std::vector<std::string> texts(64);
  std::mt19937 random(9);
  for (std::string& text : texts)
    for (int i = 0; i < 2000; ++i) text += "ab c'"[random() % 5];
  std::vector<Ids> alone(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) tokenizer->encode(texts[i], alone[i]);
  std::vector<std::vector<Ids>> together(4, std::vector<Ids>(texts.size()));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < together.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::size_t at = (i + 16 * t) % texts.size();
        tokenizer->encode(texts[at], together[t][at]);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<Ids>& ids : together) CHECK(ids == alone);
}

}  // namespace
}  // namespace metascale
