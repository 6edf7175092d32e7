// A disk that is full in earnest.
#pragma once

#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace metascale::testing {

// A small file system of its own; only the superuser can make one.
class SmallDisk {
 public:
  SmallDisk(std::filesystem::path path, const std::string& size) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    is_mounted_ = ::mount("none", path_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool is_there() const { return is_mounted_; }

 private:
  std::filesystem::path path_;
  bool is_mounted_ = false;
};

// Takes all room but `bytes`.
inline void fill_up(const std::filesystem::path& folder, std::uintmax_t bytes) {
  const auto ballast = std::int64_t(std::filesystem::space(folder).available) - std::int64_t(bytes);
  REQUIRE(ballast > 0);
  std::ofstream(folder / "ballast") << std::string(std::size_t(ballast), 'b');
}

}  // namespace metascale::testing
