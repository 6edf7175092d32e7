#include "core/seal.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

#include "core/error.hpp"

namespace metascale {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");
constexpr std::string_view magic = "MSSEAL1\n";

struct SealBlock {
  char magic[8];
  std::uint64_t count;
  std::uint64_t high, low;
};
static_assert(sizeof(SealBlock) == seal_bytes);

}  // namespace

void append_seal(std::string& bytes) {
  const Hash128 hash = xxh3_128(bytes.data(), bytes.size());
  SealBlock block{{}, bytes.size(), hash.high, hash.low};
  std::memcpy(block.magic, magic.data(), magic.size());
  bytes.append(reinterpret_cast<const char*>(&block), sizeof block);
}

Seal take_seal(std::string_view& bytes, const std::filesystem::path& path) {
  if (bytes.size() < seal_bytes) return Seal::absent;
  SealBlock block;
  std::memcpy(&block, bytes.data() + bytes.size() - seal_bytes, seal_bytes);
  if (std::string_view(block.magic, sizeof block.magic) != magic) return Seal::absent;
  const std::string_view content = bytes.substr(0, bytes.size() - seal_bytes);
  if (block.count != content.size() ||
      xxh3_128(content.data(), content.size()) != Hash128{block.high, block.low})
    throw Error(concat(path.string(),
                       ": its bytes are not those that were written: the digest at "
                       "its end differs; make it anew (metascale repair) or copy it again"),
                ExitCode::bad_input);
  bytes = content;
  return Seal::good;
}

}  // namespace metascale
