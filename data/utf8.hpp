// Repair of text that is not valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace metascale {

// Replaces each maximal invalid subpart by U+FFFD, as Python's errors="replace" and the WHATWG
// decoder do [Unicode 16, 3.9, table 3-8]. Valid text comes back as it is.
std::string repair_utf8(std::string_view text);
std::size_t repaired_size(std::string_view text);  // of what repair_utf8 gives, up to three times

// Replaces each \uXXXX escape of a lone surrogate in a line of JSON by \ufffd, of the same length.
void repair_surrogate_escapes(std::string& json);

// The largest length <= most at which text can be cut without cutting a character.
std::size_t character_border(std::string_view text, std::size_t most);

}  // namespace metascale
