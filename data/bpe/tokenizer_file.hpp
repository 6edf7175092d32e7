// What a tokenizer.json of the GPT-2 family says, checked: byte-level BPE, with or without NFC.
// Everything in the file must be known here; what is not is refused by its name.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/bpe/merges.hpp"

namespace metascale {

struct AddedToken {
  std::string content;  // as it is looked for: normalised if it is normalized
  std::int32_t id = 0;
  bool normalized = false;  // looked for behind NFC, not before
};

struct TokenizerFile {
  bool normalizes = false;                        // to NFC
  std::vector<std::optional<std::string>> bytes;  // that each id stands for; none: no such id
  std::array<std::int32_t, 256> byte_ids;         // -1 for some that valid UTF-8 does not have
  std::vector<MergeTable::Merge> merges;          // by rank
  std::vector<AddedToken> added;
  std::int32_t end_of_document = 0;  // <|endoftext|>
};

// name: how errors call the file. Throws Error{bad_input}: "name: model.merges[7]: what is wrong".
TokenizerFile parse_tokenizer_file(const std::string& text, const std::string& name);

// Equal for two files just when they give every text the same ids and every id the same bytes.
std::string digest_of(const TokenizerFile& file);  // 64 hexadecimal digits

}  // namespace metascale
