// What lies outside of a hostile folder, and must be as it was.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/atomic_file.hpp"

namespace metascale::testing {

// A file.
class Precious {
 public:
  Precious(const std::filesystem::path& folder, std::string text)
      : path_(folder / "precious"), text_(std::move(text)) {
    std::ofstream(path_) << text_;
  }
  const std::filesystem::path& path() const { return path_; }
  bool is_untouched() const {
    return std::filesystem::is_regular_file(path_) && read_file(path_) == text_;
  }

 private:
  std::filesystem::path path_;
  std::string text_;
};

// A folder with names that a run or a preparation would remove in a folder of its own.
class PreciousFolder {
 public:
  explicit PreciousFolder(const std::filesystem::path& folder) : path_(folder / "precious-folder") {
    for (const char* name : {"step-0000000000", "step-0000000099", "0001"})
      std::filesystem::create_directories(path_ / name);
    for (const char* name : {"a.unfinished", "complete", "data.unfinished-1-0", "train.bin"})
      std::ofstream(path_ / name) << "the only copy";
  }
  const std::filesystem::path& path() const { return path_; }
  bool is_untouched() const {
    int folders = 0, files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path_)) {
      entry.is_directory() ? ++folders : ++files;
      if (entry.is_regular_file() && read_file(entry.path()) != "the only copy") return false;
    }
    return folders == 3 && files == 4;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace metascale::testing
