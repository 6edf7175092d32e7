// A folder with a shell script that stands for `metascale train`.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sweeps/executor.hpp"

namespace metascale {

struct Folder {
  std::filesystem::path path;
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "metascale-sweep-XXXXXX";
    path = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path); }

  // A program that is started as `<program> train <run folder>`; $run is the folder in `script`.
  std::filesystem::path program(const std::string& script) const {
    const std::filesystem::path file = path / "program";
    std::ofstream(file) << "#!/bin/sh\nrun=$2\n" << script << "\n";
    chmod(file.c_str(), 0755);
    return file;
  }
  Job job(const std::string& id, const std::string& parent = "") const {
    std::filesystem::create_directories(path / "runs" / id / "attempts");
    return {.id = id, .folder = path / "runs" / id, .parent = parent};
  }
  bool has(const std::string& name) const { return std::filesystem::exists(path / "runs" / name); }
};

}  // namespace metascale
