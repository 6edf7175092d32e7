// GPT-2's letters for bytes: printable ones as themselves, the others U+0100 and up
// [openai/gpt-2 encoder.py, bytes_to_unicode].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace metascale {

struct ByteAlphabet {
  static std::string letter_of(std::uint8_t byte);  // UTF-8
  // The bytes that a token of the vocabulary, valid UTF-8, stands for; the token itself where a
  // character of it is no letter for a byte.
  static std::string bytes_of(std::string_view token);
};

}  // namespace metascale
