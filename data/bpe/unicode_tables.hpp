// The tables behind characters.hpp and normalization.hpp. The tokenizer's ids rest on these very
// versions of Unicode: classes of Unicode 16, canonical forms of Unicode 9.0.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace metascale {

// first code point * 4 + CharacterClass of each range, ascending; a range ends where the next
// begins.
std::span<const std::uint32_t> unicode_class_begins();

struct CombiningRange {
  char32_t first, last;
  std::uint8_t combining_class;  // not 0
};
std::span<const CombiningRange> unicode_combining_ranges();

// Primary composites: NFC puts `composed` for first + second. Hangul is not among them.
struct CompositionPair {
  char32_t first, second, composed;
};
std::span<const CompositionPair> unicode_composition_pairs();

// Full canonical decompositions of the characters that never come back by composition; parts end
// at the first 0.
struct FullDecomposition {
  char32_t whole;
  std::array<char32_t, 4> parts;
};
std::span<const FullDecomposition> unicode_other_decompositions();

}  // namespace metascale
