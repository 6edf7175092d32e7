// Inputs that get past the length at the begin of a safetensors file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

namespace metascale::fuzz {

// The line up to the first line feed, without it; the rest stays in `input`.
inline std::string take_line(std::string& input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  std::string line = input.substr(0, end);
  input.erase(0, std::min(end + 1, input.size()));
  return line;
}

// A safetensors file with the length that its header has.
inline std::string framed(const std::string& header, const std::string& data) {
  std::string file(8, '\0');
  for (int i = 0; i < 8; ++i) file[std::size_t(i)] = char(header.size() >> (8 * i) & 0xff);
  return file + header + data;
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

inline std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace metascale::fuzz
