// Files for readers that take paths: written into memory, one after the other under the same names.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>

namespace metascale::fuzz {

class Folder {
 public:
  Folder() {
    std::string name = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/metascale-fuzz-XXXXXX"
                                                       : "/tmp/metascale-fuzz-XXXXXX";
    if (!::mkdtemp(name.data())) ::abort();
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path write(const char* name, std::span<const std::uint8_t> bytes) const {
    const std::filesystem::path path = path_ / name;
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) ::abort();
    std::fclose(file);
    return path;
  }

 private:
  std::filesystem::path path_;
};

inline const Folder& folder() {
  static const Folder folder;
  return folder;
}

}  // namespace metascale::fuzz
