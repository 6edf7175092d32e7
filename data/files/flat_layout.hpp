// Token files without an index: llm.c, modded-nanogpt, nanoGPT, OLMo.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/files/buffered_writer.hpp"
#include "data/mapped_file.hpp"
#include "data/token_file.hpp"

namespace metascale {

struct FlatLayout {
  TokenType type = TokenType::u16;
  std::int64_t header = 0;  // bytes before the first token
  std::int64_t tokens = 0;
};
// layout is not megatron. Throws Error{bad_input} where header or size are not of that layout.
FlatLayout read_flat_layout(const MappedFile& bin, const std::filesystem::path& path,
                            TokenLayout layout);

// type is u16 or u32. Throws Error{bad_input} for more tokens than the header can tell.
void write_llm_c_header(BufferedWriter& out, TokenType type, std::int64_t tokens);

}  // namespace metascale
