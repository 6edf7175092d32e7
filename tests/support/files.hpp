// A folder for a test, and what tests ask of files and of refusals.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale::testing {

inline std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

// Both folders hold files of the same names and bytes.
inline void check_same_files(const std::filesystem::path& one, const std::filesystem::path& other) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(one)) {
    const std::string name = entry.path().filename().string();
    INFO(name);
    CHECK(bytes_of(one / name) == bytes_of(other / name));
    ++files;
  }
  const std::filesystem::directory_iterator others(other);
  CHECK(std::size_t(std::distance(begin(others), end(others))) == files);
}

// The message of the Error that body throws; a test fails if it throws none, or another code.
template <typename Body>
std::string error_of(ExitCode code, Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(static_cast<int>(error.code) == static_cast<int>(code));
    return error.what();
  }
  FAIL("no error was thrown");
  return "";
}

}  // namespace metascale::testing
