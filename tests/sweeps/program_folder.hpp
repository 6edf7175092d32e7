// A folder with a shell script that stands for `metascale train`.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "sweeps/executor.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale {

struct Folder {
  testing::TemporaryFolder own;
  std::filesystem::path path = own.path();

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
  // Another machine's process works on it, or died with its machine.
  static void lease_far_away(const Job& job) {
    std::ofstream(job.folder / "lease.json")
        << R"({"host":"far-away","boot":"b","pid_namespace":"p","pid":1,"start":1,"job":"",)"
        << R"("token":"t"})";
  }
  bool has(const std::string& name) const { return std::filesystem::exists(path / "runs" / name); }
};

}  // namespace metascale
