// Files that look older than they are.
#pragma once

#include <chrono>
#include <filesystem>

namespace metascale::testing {

// As if it had been written so long ago.
inline void date_back(const std::filesystem::path& file, double seconds) {
  using Clock = std::filesystem::file_time_type::clock;
  const std::chrono::duration<double> age(seconds);
  std::filesystem::last_write_time(file,
                                   Clock::now() - std::chrono::duration_cast<Clock::duration>(age));
}

}  // namespace metascale::testing
