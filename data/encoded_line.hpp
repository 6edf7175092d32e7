// One line of JSON in, one out: text to ids and back, for pipes and for tests against others.
#pragma once

#include <string>

#include "data/tokenizer.hpp"

namespace metascale {

// line: an object with "text", read as DocumentReader reads it (a list of texts is joined, invalid
// UTF-8 and lone surrogates are repaired). Returns {"text": "...", "ids": [...]}, without a newline
// and without the id that ends a document. Throws Error{bad_input}: what is wrong with the line.
std::string encode_line(const std::string& line, const Tokenizer& tokenizer);

// line: an object with "ids". Returns the same as encode_line; what is not UTF-8 in the text is
// repaired.
std::string decode_line(const std::string& line, const Tokenizer& tokenizer);

}  // namespace metascale
