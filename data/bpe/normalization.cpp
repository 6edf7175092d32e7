#include "data/bpe/normalization.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "data/bpe/characters.hpp"
#include "data/bpe/unicode_tables.hpp"

namespace metascale {
namespace {

// Syllables are computed from conjoining letters [Unicode 16, 3.12].
namespace hangul {
constexpr char32_t syllables = 0xac00, leads = 0x1100, vowels = 0x1161, before_tails = 0x11a7;
constexpr char32_t lead_count = 19, vowel_count = 21, tail_count = 28;
constexpr char32_t syllable_count = lead_count * vowel_count * tail_count;

bool is_syllable(char32_t code) { return code - syllables < syllable_count; }
bool is_lead(char32_t code) { return code - leads < lead_count; }
bool is_vowel(char32_t code) { return code - vowels < vowel_count; }
bool is_tail(char32_t code) { return code - before_tails - 1 < tail_count - 1; }
}  // namespace hangul

constexpr std::uint8_t unstable = 255;

// What NFC needs to know of characters.
class Tables {
 public:
  Tables() : combining_(read_combining_classes()), stability_(read_stability()) {
    for (const CompositionPair& pair : unicode_composition_pairs()) {
      composed_.emplace(key(pair.first, pair.second), pair.composed);
      parts_[pair.composed] = std::u32string{pair.first, pair.second};
    }
    for (const FullDecomposition& other : unicode_other_decompositions()) {
      const auto end = std::find(other.parts.begin(), other.parts.end(), U'\0');
      parts_[other.whole] = std::u32string(other.parts.begin(), end);
    }
  }

  // A character before which, and at which, NFC can be cut: combining class 0, and neither changed
  // nor drawn into what stands before it (NFC_Quick_Check=Yes) [UAX 15, 9.1].
  bool is_stable(char32_t code) const { return stability_[code] == 0; }
  std::uint8_t combining_class(char32_t code) const { return combining_[code]; }

  void decompose(char32_t code, std::u32string& out) const {
    if (hangul::is_syllable(code)) {
      const char32_t index = code - hangul::syllables;
      const char32_t tail = index % hangul::tail_count, pair = index / hangul::tail_count;
      out += char32_t(hangul::leads + pair / hangul::vowel_count);
      out += char32_t(hangul::vowels + pair % hangul::vowel_count);
      if (tail != 0) out += char32_t(hangul::before_tails + tail);
      return;
    }
    const auto found = parts_.find(code);
    if (found == parts_.end()) {
      out += code;
      return;
    }
    for (const char32_t part : found->second) decompose(part, out);
  }

  // 0 where the two do not compose.
  char32_t compose(char32_t first, char32_t second) const {
    if (hangul::is_lead(first) && hangul::is_vowel(second)) {
      const char32_t pair = (first - hangul::leads) * hangul::vowel_count + second - hangul::vowels;
      return hangul::syllables + pair * hangul::tail_count;
    }
    if (hangul::is_syllable(first) && hangul::is_tail(second) &&
        (first - hangul::syllables) % hangul::tail_count == 0)
      return first + second - hangul::before_tails;
    const auto found = composed_.find(key(first, second));
    return found == composed_.end() ? 0 : found->second;
  }

 private:
  static std::uint64_t key(char32_t first, char32_t second) {
    return std::uint64_t(first) << 32 | second;
  }
  static std::vector<std::uint8_t> read_combining_classes() {
    std::vector<std::uint8_t> values(code_points);
    for (const CombiningRange& range : unicode_combining_ranges())
      std::fill(&values[range.first], &values[range.last] + 1, range.combining_class);
    return values;
  }
  static std::vector<std::uint8_t> read_stability() {
    std::vector<std::uint8_t> values = read_combining_classes();
    for (const CompositionPair& pair : unicode_composition_pairs()) values[pair.second] = unstable;
    for (const FullDecomposition& other : unicode_other_decompositions())
      values[other.whole] = unstable;
    for (char32_t code = hangul::vowels; code < hangul::before_tails + hangul::tail_count; ++code)
      if (hangul::is_vowel(code) || hangul::is_tail(code)) values[code] = unstable;
    return values;
  }

  CharacterTable combining_, stability_;  // stability_: 0 where is_stable
  std::unordered_map<std::uint64_t, char32_t> composed_;
  std::unordered_map<char32_t, std::u32string> parts_;
};

const Tables& tables() {
  static const Tables known;
  return known;
}

// Each run of combining characters, sorted by class [Unicode 16, D109].
void reorder(const Tables& known, std::u32string& codes) {
  const auto combines = [&](char32_t code) { return known.combining_class(code) != 0; };
  auto begin = codes.begin();
  while ((begin = std::find_if(begin, codes.end(), combines)) != codes.end()) {
    const auto end = std::find_if_not(begin, codes.end(), combines);
    std::stable_sort(begin, end, [&](char32_t a, char32_t b) {
      return known.combining_class(a) < known.combining_class(b);
    });
    begin = end;
  }
}

// Canonical composition, in place [Unicode 16, D117].
void compose(const Tables& known, std::u32string& codes) {
  std::size_t size = 0, starter = 0;
  bool has_starter = false;
  std::uint8_t last_class = 0;
  for (const char32_t code : codes) {
    const std::uint8_t own_class = known.combining_class(code);
    const bool is_blocked =
        !has_starter || !(last_class < own_class || (last_class == 0 && starter + 1 == size));
    const char32_t composed = is_blocked ? 0 : known.compose(codes[starter], code);
    if (composed != 0) {
      codes[starter] = composed;
      continue;
    }
    if (own_class == 0) {
      starter = size;
      has_starter = true;
    }
    codes[size++] = code;
    last_class = own_class;
  }
  codes.resize(size);
}

// The first character at or behind `at` for which is_stable is `stable`; the end if there is none.
// text[last_stable] is the last stable character passed on the way.
std::size_t find_stability(const Tables& known, std::string_view text, std::size_t at, bool stable,
                           std::size_t& last_stable) {
  while (at < text.size()) {
    if (static_cast<unsigned char>(text[at]) < 0xcc) {  // below U+0300 all are stable
      if (stable) return at;
      last_stable = at;
      at += static_cast<unsigned char>(text[at]) < 0x80 ? 1 : 2;
      continue;
    }
    const DecodedCharacter character = decode_character(&text[at]);
    if (known.is_stable(character.code) == stable) return at;
    if (!stable) last_stable = at;
    at += std::size_t(character.bytes);
  }
  return text.size();
}

bool is_below_0300(std::string_view text) {
  unsigned char most = 0;
  for (const char byte : text) most = std::max(most, static_cast<unsigned char>(byte));
  return most < 0xcc;
}

}  // namespace

std::string_view normalize(std::string_view text, std::string& storage) {
  if (is_below_0300(text)) return text;
  const Tables& known = tables();
  std::size_t copied = 0, last_stable = 0;
  std::size_t change = find_stability(known, text, 0, false, last_stable);
  if (change == text.size()) return text;
  storage.clear();
  storage.reserve(text.size() + 16);
  std::u32string codes;
  while (change < text.size()) {  // what changes lies between two stable characters
    const std::size_t begin = std::max(copied, std::min(last_stable, change));
    std::size_t unused = 0;
    const std::size_t end = find_stability(known, text, change, true, unused);
    storage.append(text, copied, begin - copied);
    codes.clear();
    for (std::size_t at = begin; at < end;) {
      const DecodedCharacter character = decode_character(&text[at]);
      known.decompose(character.code, codes);
      at += std::size_t(character.bytes);
    }
    reorder(known, codes);
    compose(known, codes);
    for (const char32_t code : codes) append_character(storage, code);
    copied = last_stable = end;
    change = find_stability(known, text, end, false, last_stable);
  }
  storage.append(text, copied);
  return storage;
}

}  // namespace metascale
