// GPT-NeoX-20B's tokenizer and any other byte-level BPE of the GPT-2 family, out of its
// tokenizer.json, with the very ids of the reference implementation (Hugging Face tokenizers
// 0.23): added tokens, NFC of Unicode 9.0, GPT-2's words with the classes of Unicode 16, merges.
#pragma once

#include <filesystem>
#include <memory>

#include "data/tokenizer.hpp"

namespace metascale {

// Its name is the file's name without folders; its identity a digest of all that ids and bytes
// depend on; its end of document <|endoftext|>, which it also finds inside of a text. Text that is
// not valid UTF-8 is repaired first [data/utf8.hpp]. Decoding gives each added token its text.
// Throws Error{bad_input} for a damaged file, and for a feature that is not known here, by name.
std::unique_ptr<Tokenizer> read_bpe_tokenizer(const std::filesystem::path& path);

}  // namespace metascale
