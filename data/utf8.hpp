// Repair of text that is not valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace metascale {

// Replaces each maximal invalid subpart by U+FFFD, as Python's errors="replace" and the WHATWG
// decoder do [Unicode 16, 3.9, table 3-8]. Valid text comes back as it is.
std::string repair_utf8(std::string_view text);

// Replaces each \uXXXX escape of a lone surrogate in a line of JSON by \ufffd.
std::string repair_surrogate_escapes(std::string_view json);

// The largest length <= most at which text can be cut without cutting a character.
std::size_t character_border(std::string_view text, std::size_t most);

}  // namespace metascale
