// A seal: 32 bytes at a file's end that tell whether the bytes before them are those once written.
//   "MSSEAL1\n", their number (uint64), their XXH3-128 (high, low); all little-endian
// HDF5 reads nothing after its own end, so a sealed run.h5 is an ordinary HDF5 file; a tool that
// changes it cuts the seal off.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/hash.hpp"

namespace metascale {

inline constexpr std::size_t seal_bytes = 32;

void append_seal(std::string& bytes);

enum class Seal { absent, good };
// Takes the seal off bytes if there is one. Throws Error{bad_input} naming path if it does not fit.
Seal take_seal(std::string_view& bytes, const std::filesystem::path& path);

}  // namespace metascale
