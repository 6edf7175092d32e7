// The clock that files are dated by. A file server dates its files by its own clock, which need not
// agree with those of the machines that read and write them.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

namespace metascale {

class FileClock {
 public:
  // Seconds since this file was written last, by the clock that dated it; nothing where it is not
  // there. Once a minute a call makes a file beside it for a moment, to read that clock; where it
  // may not, the clock of this machine is taken. One object serves the files of one file system.
  std::optional<double> seconds_since_written(const std::filesystem::path& file);

 private:
  double ahead_ = 0;  // of this machine's clock, in seconds
  std::optional<std::chrono::steady_clock::time_point> read_;
};

}  // namespace metascale
