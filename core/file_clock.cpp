#include "core/file_clock.hpp"

#include <sys/stat.h>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/heartbeat.hpp"

namespace metascale {
namespace {

std::optional<double> date_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return double(status.st_mtim.tv_sec) + 1e-9 * double(status.st_mtim.tv_nsec);
}

double ahead_of_us(const std::filesystem::path& folder) {
  try {
    const AtomicFile made_now(folder / "clock");
    if (const auto date = date_of(made_now.temporary())) return *date - seconds_since_1970();
  } catch (const Error&) {  // it may only read here
  }
  return 0;
}

}  // namespace

std::optional<double> FileClock::seconds_since_written(const std::filesystem::path& file) {
  const auto date = date_of(file);
  if (!date) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  if (!read_ || now - *read_ > std::chrono::minutes(1)) {
    ahead_ = ahead_of_us(file.parent_path());
    read_ = now;
  }
  return seconds_since_1970() + ahead_ - *date;
}

}  // namespace metascale
