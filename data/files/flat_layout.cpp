#include "data/files/flat_layout.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/error.hpp"

namespace metascale {
namespace {

constexpr std::int64_t llm_c_header = 1024;  // 256 int32

struct Magic {  // [llm.c: dev/data/data_common.py, llmc/dataloader.h]
  std::int32_t magic, version;
  TokenType type;
};
constexpr std::array<Magic, 2> magics{
    {{20240520, 1, TokenType::u16}, {20240801, 7, TokenType::u32}}};

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw Error(concat(path.string(), ": ", what,
                     "; name the format that it has, make it anew with metascale data prepare, or "
                     "fetch it again"),
              ExitCode::bad_input);
}

FlatLayout read_llm_c(const MappedFile& bin, const std::filesystem::path& path) {
  if (bin.size() < llm_c_header)
    refuse(path, concat("has ", bin.size(), " bytes, fewer than the 1024 of llm.c's header"));
  std::int32_t header[3];  // magic, version, tokens
  std::memcpy(header, bin.data(), sizeof header);
  for (const Magic& known : magics) {
    if (header[0] != known.magic) continue;
    if (header[1] != known.version)
      refuse(path, concat("has version ", header[1], " of magic ", header[0], "; known is ",
                          known.version));
    const std::int64_t tokens = header[2], bytes = bin.size() - llm_c_header;
    if (tokens < 0 || tokens * size_of(known.type) != bytes)
      refuse(path, concat("its header tells of ", tokens, " tokens of ", size_of(known.type),
                          " bytes, but ", bytes, " bytes follow it: truncated or damaged"));
    return {.type = known.type, .header = llm_c_header, .tokens = tokens};
  }
  refuse(path,
         concat("begins with magic ", header[0], ", not with 20240520 or 20240801: not llm.c's"));
}

FlatLayout read_raw(const MappedFile& bin, const std::filesystem::path& path, TokenType type) {
  if (bin.size() % size_of(type) != 0)
    refuse(path, concat("has ", bin.size(), " bytes, no multiple of the ", size_of(type),
                        " of a token: truncated, or of another type"));
  return {.type = type, .header = 0, .tokens = bin.size() / size_of(type)};
}

}  // namespace

FlatLayout read_flat_layout(const MappedFile& bin, const std::filesystem::path& path,
                            TokenLayout layout) {
  switch (layout) {
    case TokenLayout::llm_c: return read_llm_c(bin, path);
    case TokenLayout::raw_u16: return read_raw(bin, path, TokenType::u16);
    case TokenLayout::raw_u32: return read_raw(bin, path, TokenType::u32);
    case TokenLayout::megatron: break;
  }
  throw Error(concat(path.string(), ": a Megatron file is not flat"));
}

void write_llm_c_header(BufferedWriter& out, TokenType type, std::int64_t tokens) {
  if (tokens > std::numeric_limits<std::int32_t>::max())
    throw Error(concat("llm.c's header cannot tell of ", tokens,
                       " tokens, only of 2147483647; write uint16 or uint32"),
                ExitCode::bad_input);
  const auto known = std::find_if(magics.begin(), magics.end(),
                                  [&](const Magic& magic) { return magic.type == type; });
  std::array<std::int32_t, llm_c_header / sizeof(std::int32_t)> header{};
  header[0] = known->magic;
  header[1] = known->version;
  header[2] = std::int32_t(tokens);
  out.write(header.data(), llm_c_header);
}

}  // namespace metascale
