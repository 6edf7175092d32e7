// Writes somebody else's forms of token files: flat ones, without an index.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/token_file.hpp"

namespace metascale {

struct FlatTokens {
  std::filesystem::path path;  // with .bin
  TokenType type = TokenType::u16;
  std::int64_t tokens = 0;
};

// All tokens of a file in their order, in one that TokenFile reads with that layout; domains, and
// documents that no id ends, are lost. An llm.c file is of u16 where the vocabulary allows it
// (where that is unknown, where the file's own type has 2 bytes or fewer), else of u32. What stood
// at path, with or without .bin, stands until the new file is whole. Throws Error{usage} for
// megatron and where path is the file that is read, Error{bad_input} for an id that the type cannot
// hold, for more tokens than an llm.c header can tell, and where path is that of a set with an
// .idx; Error{io}.
FlatTokens write_flat_tokens(const TokenFile& from, TokenLayout layout,
                             const std::filesystem::path& path);

}  // namespace metascale
