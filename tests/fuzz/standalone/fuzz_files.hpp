// Files for readers that take paths: written one after the other under the same names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "tests/support/temporary_folder.hpp"

namespace metascale::fuzz {

// A failure to write is thrown, and ends the fuzzer.
inline std::filesystem::path write(const char* name, std::span<const std::uint8_t> bytes) {
  static const testing::TemporaryFolder folder;
  return folder.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace metascale::fuzz
