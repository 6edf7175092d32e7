// A folder of its own for one test, removed with all in it.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace metascale::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    // In memory where the system offers that: preparations sync often.
    const std::filesystem::path memory = "/dev/shm";
    const auto parent =
        ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
    std::string name = (parent / "metascale-data-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  std::filesystem::path path_;
};

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
