// A reader of TensorBoard's event files: the record format and the wire format as documented, with
// a bitwise CRC-32C. Tests alone use it; it shares no code with the writer.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace metascale::testing {

inline std::uint32_t bitwise_crc32c(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

template <typename Number>
Number take(const std::string& bytes, std::size_t& at) {
  REQUIRE(at + sizeof(Number) <= bytes.size());
  Number value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  at += sizeof value;
  return value;
}

inline std::uint64_t take_varint(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<unsigned char>(bytes, at);
    value |= std::uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

inline void check_crc(const std::string& bytes, std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8u;
  CHECK(((rotated >> 17) | (rotated << 15)) == bitwise_crc32c(bytes));
}

inline std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    const std::string head = file.substr(at, 8);
    const auto length = take<std::uint64_t>(file, at);
    check_crc(head, take<std::uint32_t>(file, at));
    REQUIRE(at + length + 4 <= file.size());
    records.push_back(file.substr(at, length));
    at += length;
    check_crc(records.back(), take<std::uint32_t>(file, at));
  }
  return records;
}

struct ReadEvent {
  double time = 0;
  std::int64_t step = 0;
  std::string version;
  std::map<std::string, float> values;
};

inline void read_value(const std::string& bytes, ReadEvent& event) {
  std::string tag;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t key = take_varint(bytes, at);
    if (key == (1 << 3 | 2)) {
      const std::size_t length = take_varint(bytes, at);
      tag = bytes.substr(at, length), at += length;
    } else {
      REQUIRE(key == (2 << 3 | 5));
      event.values[tag] = take<float>(bytes, at);
    }
  }
}

inline ReadEvent read_event(const std::string& bytes) {
  ReadEvent event;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t key = take_varint(bytes, at);
    if (key == (1 << 3 | 1)) {
      event.time = take<double>(bytes, at);
    } else if (key == (2 << 3 | 0)) {
      event.step = std::int64_t(take_varint(bytes, at));
    } else {
      const std::size_t length = take_varint(bytes, at);
      const std::string part = bytes.substr(at, length);
      at += length;
      if (key == (3 << 3 | 2)) {
        event.version = part;
        continue;
      }
      REQUIRE(key == (5 << 3 | 2));
      for (std::size_t inner = 0; inner < part.size();) {
        REQUIRE(take_varint(part, inner) == (1 << 3 | 2));
        const std::size_t size = take_varint(part, inner);
        read_value(part.substr(inner, size), event);
        inner += size;
      }
    }
  }
  return event;
}

}  // namespace metascale::testing
