// Digests: SHA-256 names data (recipes, corpora), XXH3 and CRC-32C find damage and differences.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace metascale {

class Sha256 {  // [FIPS 180-4]
 public:
  Sha256();
  void update(const void* bytes, std::size_t count);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  std::array<std::uint8_t, 32> finish();  // call it once, at the end

 private:
  void take_block(const std::uint8_t* block);
  std::array<std::uint32_t, 8> state_;
  std::array<std::uint8_t, 64> pending_{};
  std::uint64_t count_ = 0;  // bytes so far
};

struct Hash128 {
  std::uint64_t high = 0, low = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

class Xxh3 {  // XXH3, 128 bits, of a stream [xxhash.com]
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(Xxh3&&) noexcept;
  Xxh3& operator=(Xxh3&&) noexcept;
  void update(const void* bytes, std::size_t count);
  Hash128 digest() const;  // of all so far; more may follow

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);  // 64 lower-case digits
std::uint64_t xxh3_64(const void* bytes, std::size_t count, std::uint64_t seed = 0);
Hash128 xxh3_128(const void* bytes, std::size_t count);
// CRC-32C (Castagnoli, reflected, RFC 3720 B.4); continue a stream by passing the last result.
std::uint32_t crc32c(const void* bytes, std::size_t count, std::uint32_t previous = 0);

std::string to_hex(const std::uint8_t* bytes, std::size_t count);
std::string to_hex(std::uint64_t value);  // 16 digits, most significant first
std::string to_hex(std::uint32_t value);  // 8 digits
std::string to_hex(Hash128 value);        // 32 digits
// Exactly `digits` (at most 16) lower-case hexadecimal digits; false if text is anything else.
bool parse_hex(std::string_view text, std::size_t digits, std::uint64_t& value);

}  // namespace metascale
