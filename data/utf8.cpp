#include "data/utf8.hpp"

#include <algorithm>
#include <cstdint>

namespace metascale {
namespace {

// What may follow a lead byte: how many bytes, and the range of the first of them [Unicode 16,
// table 3-7].
struct Lead {
  std::size_t follow;  // 0: no lead byte of a longer sequence
  unsigned char least, most;
};

Lead lead_of(unsigned char byte) {
  if (byte >= 0xc2 && byte <= 0xdf) return {1, 0x80, 0xbf};
  if (byte == 0xe0) return {2, 0xa0, 0xbf};
  if (byte == 0xed) return {2, 0x80, 0x9f};  // no surrogates
  if (byte >= 0xe1 && byte <= 0xef) return {2, 0x80, 0xbf};
  if (byte == 0xf0) return {3, 0x90, 0xbf};
  if (byte >= 0xf1 && byte <= 0xf3) return {3, 0x80, 0xbf};
  if (byte == 0xf4) return {3, 0x80, 0x8f};
  return {0, 0, 0};
}

// Calls take(part) for each character of text, and with U+FFFD for each maximal invalid subpart.
template <typename Take>
void for_each_part(std::string_view text, Take&& take) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const Lead lead = lead_of(byte);
    std::size_t taken = 1;  // of the longest valid beginning
    for (; taken <= lead.follow && at + taken < text.size(); ++taken) {
      const auto next = static_cast<unsigned char>(text[at + taken]);
      const bool fits =
          taken == 1 ? next >= lead.least && next <= lead.most : (next & 0xc0) == 0x80;
      if (!fits) break;
    }
    const bool valid = byte < 0x80 || (lead.follow > 0 && taken == lead.follow + 1);
    take(valid ? text.substr(at, taken) : std::string_view("\xef\xbf\xbd"));
    at += taken;
  }
}

// Four hexadecimal digits of an escape \uXXXX that begins at text[at]; -1 if it is none.
int escape_at(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return -1;
  int value = 0;
  for (std::size_t i = at + 2; i < at + 6; ++i) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool is_high_surrogate(int unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low_surrogate(int unit) { return unit >= 0xdc00 && unit < 0xe000; }

}  // namespace

std::size_t repaired_size(std::string_view text) {
  std::size_t size = 0;
  for_each_part(text, [&](std::string_view part) { size += part.size(); });
  return size;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(repaired_size(text));  // growing would hold it twice
  for_each_part(text, [&](std::string_view part) { out.append(part); });
  return out;
}

void repair_surrogate_escapes(std::string& json) {
  for (std::size_t at = 0; at + 1 < json.size();) {
    if (json[at] != '\\') {
      ++at;
      continue;
    }
    const int unit = escape_at(json, at);
    if (unit < 0) {
      at += 2;
    } else if (is_high_surrogate(unit) && is_low_surrogate(escape_at(json, at + 6))) {
      at += 12;
    } else {
      if (is_high_surrogate(unit) || is_low_surrogate(unit)) json.replace(at, 6, "\\ufffd");
      at += 6;
    }
  }
}

std::size_t character_border(std::string_view text, std::size_t most) {
  if (most >= text.size()) return text.size();
  std::size_t border = most;
  for (int i = 0; i < 3 && border > 0 && (static_cast<unsigned char>(text[border]) & 0xc0) == 0x80;
       ++i)
    --border;
  return border > 0 ? border : most;
}

}  // namespace metascale
