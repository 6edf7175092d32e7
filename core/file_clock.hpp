// The clock that files are dated by. A file server dates its files by its own clock, which need not
// agree with those of the machines that read and write them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>

namespace metascale {

class FileClock {
 public:
  // Seconds since this file was written last, by the clock that dated it; nothing where it is not
  // there. Once a minute a call makes a file beside it for a moment, to read that clock; where it
  // may not, the clock of this machine is taken. Each file system has its own.
  std::optional<double> seconds_since_written(const std::filesystem::path& file);

 private:
  struct Reading {
    double ahead = 0;  // of this machine's clock, in seconds
    std::chrono::steady_clock::time_point when;
  };
  std::map<dev_t, Reading> readings_;  // of each file system
};

}  // namespace metascale
