#include "core/file_clock.hpp"

#include <sys/stat.h>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "core/heartbeat.hpp"

namespace metascale {
namespace {

std::optional<struct stat> status_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return status;
}

double date_of(const struct stat& status) {
  return double(status.st_mtim.tv_sec) + 1e-9 * double(status.st_mtim.tv_nsec);
}

double ahead_of_us(const std::filesystem::path& folder) {
  try {
    const AtomicFile made_now(folder / "clock");
    if (const auto status = status_of(made_now.temporary()))
      return date_of(*status) - seconds_since_1970();
  } catch (const Error&) {  // it may only read here
  }
  return 0;
}

}  // namespace

std::optional<double> FileClock::seconds_since_written(const std::filesystem::path& file) {
  const auto status = status_of(file);
  if (!status) return std::nullopt;
  const auto now = std::chrono::steady_clock::now();
  auto known = readings_.find(status->st_dev);
  if (known == readings_.end() || now - known->second.when > std::chrono::minutes(1)) {
    const Reading reading{ahead_of_us(file.parent_path()), now};
    known = readings_.insert_or_assign(status->st_dev, reading).first;
  }
  return seconds_since_1970() + known->second.ahead - date_of(*status);
}

}  // namespace metascale
