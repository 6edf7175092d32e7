#include "data/bpe/characters.hpp"

#include <map>

#include "data/bpe/unicode_tables.hpp"

namespace metascale {
namespace {

CharacterTable read_classes() {
  std::vector<std::uint8_t> values(code_points);
  const auto begins = unicode_class_begins();
  for (std::size_t i = 0; i < begins.size(); ++i) {
    const std::uint32_t end = i + 1 < begins.size() ? begins[i + 1] >> 2 : code_points;
    for (std::uint32_t code = begins[i] >> 2; code < end; ++code)
      values[code] = std::uint8_t(begins[i] & 3);
  }
  return CharacterTable(values);
}

}  // namespace

void append_character(std::string& text, char32_t code) {
  const auto tail = [&](int shift) { return char(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80)
    text += char(code);
  else if (code < 0x800)
    text += {char(0xc0 | code >> 6), tail(0)};
  else if (code < 0x10000)
    text += {char(0xe0 | code >> 12), tail(6), tail(0)};
  else
    text += {char(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

CharacterTable::CharacterTable(const std::vector<std::uint8_t>& values) {
  std::map<std::string, std::uint32_t> known;
  for (std::size_t page = 0; page < page_begins_.size(); ++page) {
    const auto first = values.begin() + std::ptrdiff_t(page << 8);
    const std::string entries(first, first + 256);
    const auto [found, is_new] = known.try_emplace(entries, std::uint32_t(entries_.size()));
    if (is_new) entries_.insert(entries_.end(), entries.begin(), entries.end());
    page_begins_[page] = found->second;
  }
}

const CharacterTable& character_classes() {
  static const CharacterTable classes = read_classes();
  return classes;
}

}  // namespace metascale
