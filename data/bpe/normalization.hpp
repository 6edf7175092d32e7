// Normalization Form C of Unicode 9.0 [UAX 15]: the version that the reference tokenizer has.
#pragma once

#include <string>
#include <string_view>

namespace metascale {

// NFC of valid UTF-8. Returns text itself where it is in NFC already, else a view of storage, which
// is then overwritten.
std::string_view normalize(std::string_view text, std::string& storage);

}  // namespace metascale
