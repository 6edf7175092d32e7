// Cuts text into the words inside of which bytes are merged. By hand, as GPT-2's expression
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// cuts [openai/gpt-2 encoder.py], with the classes of Unicode 16.
#pragma once

#include <array>
#include <string_view>

#include "data/bpe/characters.hpp"

namespace metascale {

class Pretokenizer {
 public:
  Pretokenizer() : classes_(&character_classes()) {
    for (char32_t code = 0; code < ascii_.size(); ++code)
      ascii_[code] = CharacterClass((*classes_)[code]);
  }

  // Calls visit(word) for the words of valid UTF-8, in order; together they are the text.
  template <typename Visit>
  void split(std::string_view text, Visit&& visit) const {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
      const char* const next = word_end(at, end);
      visit(std::string_view(at, std::size_t(next - at)));
      at = next;
    }
  }

 private:
  struct Classified {
    CharacterClass kind;
    int bytes;
  };
  Classified classify(const char* at) const {
    const auto byte = static_cast<unsigned char>(*at);
    if (byte < 0x80) return {ascii_[byte], 1};
    const DecodedCharacter character = decode_character(at);
    return {CharacterClass((*classes_)[character.code]), character.bytes};
  }

  const char* word_end(const char* begin, const char* end) const {
    if (*begin == '\'')
      if (const int length = contraction(begin, end)) return begin + length;
    const char* at = begin;
    if (*at == ' ' && at + 1 != end && classify(at + 1).kind != CharacterClass::space) ++at;
    const Classified first = classify(at);
    if (first.kind == CharacterClass::space) return space_end(begin, end);
    return run_end(at + first.bytes, end, first.kind);
  }

  // Bytes of the contraction at the quote; 0 where there is none.
  static int contraction(const char* quote, const char* end) {
    if (end - quote < 2) return 0;
    const char a = quote[1];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if (end - quote < 3) return 0;
    const char b = quote[2];
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
  }

  const char* run_end(const char* at, const char* end, CharacterClass kind) const {
    while (at != end) {
      const Classified next = classify(at);
      if (next.kind != kind) break;
      at += next.bytes;
    }
    return at;
  }

  // White space leaves its last character to a word that follows.
  const char* space_end(const char* begin, const char* end) const {
    const char* at = begin;
    const char* last = begin;
    while (at != end) {
      const Classified next = classify(at);
      if (next.kind != CharacterClass::space) return last == begin ? at : last;
      last = at;
      at += next.bytes;
    }
    return end;
  }

  const CharacterTable* classes_;
  std::array<CharacterClass, 128> ascii_;
};

}  // namespace metascale
