#include "data/bpe/byte_alphabet.hpp"

#include <array>

#include "data/bpe/characters.hpp"

namespace metascale {
namespace {

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<char32_t, 256> make_letters() {
  std::array<char32_t, 256> letters{};
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    letters[std::size_t(byte)] = is_printable(byte) ? char32_t(byte) : next++;
  return letters;
}

constexpr std::array<char32_t, 256> letters = make_letters();

constexpr std::array<std::int16_t, 0x144> make_bytes() {
  std::array<std::int16_t, 0x144> bytes{};
  for (std::int16_t& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[letters[std::size_t(byte)]] = std::int16_t(byte);
  return bytes;
}

constexpr std::array<std::int16_t, 0x144> bytes_of_letters = make_bytes();

}  // namespace

std::string ByteAlphabet::letter_of(std::uint8_t byte) {
  std::string letter;
  append_character(letter, letters[byte]);
  return letter;
}

std::string ByteAlphabet::bytes_of(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const DecodedCharacter character = decode_character(&token[at]);
    const int byte =
        character.code < bytes_of_letters.size() ? bytes_of_letters[character.code] : -1;
    if (byte < 0) return std::string(token);
    bytes += char(byte);
    at += std::size_t(character.bytes);
  }
  return bytes;
}

}  // namespace metascale
