// A folder of its own for one test, removed with all in it.
#pragma once

#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace metascale::testing {

// Lies in TMPDIR; without one in memory, where the system offers that and programs may be started
// from there (tests sync thousands of times), else in the system's temporary folder.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (parent() / "metascale-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw Error("cannot make the folder " + name, ExitCode::io);
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

  // Makes the folders above it. Returns its path.
  std::filesystem::path write(const std::string& name, std::string_view bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), std::streamsize(bytes.size())).flush();
    if (!file) throw Error("cannot write " + path.string(), ExitCode::io);
    return path;
  }

 private:
  static std::filesystem::path parent() {
    const char* memory = "/dev/shm";
    struct statvfs system {};
    const bool is_usable = !::getenv("TMPDIR") && ::access(memory, W_OK | X_OK) == 0 &&
                           ::statvfs(memory, &system) == 0 && !(system.f_flag & ST_NOEXEC);
    return is_usable ? memory : std::filesystem::temp_directory_path();
  }
  std::filesystem::path path_;
};

}  // namespace metascale::testing
