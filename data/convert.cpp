#include "data/convert.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <system_error>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "data/files/buffered_writer.hpp"
#include "data/files/flat_layout.hpp"

namespace metascale {
namespace {

constexpr std::int64_t block_tokens = 1 << 16;

TokenType type_of(const TokenFile& from, TokenLayout layout) {
  if (layout == TokenLayout::raw_u16) return TokenType::u16;
  if (layout == TokenLayout::raw_u32) return TokenType::u32;
  constexpr std::int64_t u16_ids = std::numeric_limits<std::uint16_t>::max() + 1;
  const bool fits =
      from.vocabulary() > 0 ? from.vocabulary() <= u16_ids : size_of(from.type()) <= 2;
  return fits ? TokenType::u16 : TokenType::u32;
}

template <typename Stored>
void write_tokens(const TokenFile& from, BufferedWriter& out) {
  std::vector<std::int32_t> ids(std::size_t(std::min(block_tokens, from.tokens())));
  std::vector<Stored> stored(ids.size());
  for (std::int64_t first = 0; first < from.tokens(); first += block_tokens) {
    const std::int64_t count = std::min(block_tokens, from.tokens() - first);
    from.read(first, count, ids.data());
    for (std::size_t i = 0; i < std::size_t(count); ++i) {
      stored[i] = static_cast<Stored>(ids[i]);
      if (std::int64_t(stored[i]) != ids[i])
        throw Error(
            concat(from.path().string(), ": the token at position ", first + std::int64_t(i),
                   " is ", ids[i], ", which 2 bytes do not hold; write it as uint32"),
            ExitCode::bad_input);
    }
    out.write(stored.data(), std::size_t(count) * sizeof(Stored));
  }
}

}  // namespace

FlatTokens write_flat_tokens(const TokenFile& from, TokenLayout layout,
                             const std::filesystem::path& path) {
  if (layout == TokenLayout::megatron)
    throw Error(
        "a file with an index cannot be made of tokens alone; `metascale data prepare` makes "
        "megatron out of text",
        ExitCode::usage);
  std::filesystem::path bin = token_file_stem(path), index = bin;
  if (std::filesystem::exists(index += ".idx"))
    throw Error(
        concat(index.string(), ": the set of this name would lose its .bin; choose another"),
        ExitCode::bad_input);
  bin += ".bin";
  std::error_code is_new;  // what is not there is not read from
  if (std::filesystem::path read = from.path();
      std::filesystem::equivalent(read += ".bin", bin, is_new))
    throw Error(
        concat(bin.string(), ": is the file that is read; give it another name to be written as"),
        ExitCode::usage);
  FlatTokens written{bin, type_of(from, layout), from.tokens()};
  AtomicFile file(bin);
  BufferedWriter out(file.temporary());
  if (layout == TokenLayout::llm_c) write_llm_c_header(out, written.type, written.tokens);
  if (written.type == TokenType::u16)
    write_tokens<std::uint16_t>(from, out);
  else
    write_tokens<std::uint32_t>(from, out);
  out.close();
  file.commit();
  return written;
}

}  // namespace metascale
