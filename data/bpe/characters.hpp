// Code points in valid UTF-8, and the classes that the pre-tokenizer tells apart.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace metascale {

// \p{L}, \p{N}, \s as Unicode 16 has them.
enum class CharacterClass : std::uint8_t { other, letter, number, space };

struct DecodedCharacter {
  char32_t code;
  int bytes;  // 1..4
};

// The character that begins at text. The bytes must be valid UTF-8.
inline DecodedCharacter decode_character(const char* text) {
  const auto byte = [text](int i) { return char32_t(static_cast<unsigned char>(text[i])); };
  const auto tail = [&](int i) { return byte(i) & 0x3f; };
  if (byte(0) < 0x80) return {byte(0), 1};
  if (byte(0) < 0xe0) return {(byte(0) & 0x1f) << 6 | tail(1), 2};
  if (byte(0) < 0xf0) return {(byte(0) & 0x0f) << 12 | tail(1) << 6 | tail(2), 3};
  return {(byte(0) & 0x07) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
}

void append_character(std::string& text, char32_t code);

// A byte for every code point, in pages of which equal ones are kept once.
class CharacterTable {
 public:
  // values: one for each of the 0x110000 code points.
  explicit CharacterTable(const std::vector<std::uint8_t>& values);
  std::uint8_t operator[](char32_t code) const {
    return entries_[std::size_t(page_begins_[code >> 8]) + (code & 0xff)];
  }

 private:
  std::array<std::uint32_t, 0x1100> page_begins_;
  std::vector<std::uint8_t> entries_;
};

constexpr char32_t code_points = 0x110000;

const CharacterTable& character_classes();  // values are CharacterClass

}  // namespace metascale
