#include "data/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.hpp"

namespace metascale {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const char* what) {
  const bool is_missing = errno == ENOENT || errno == ENOTDIR;
  throw Error(concat(path.string(), ": cannot ", what, ": ", std::strerror(errno),
                     is_missing ? "; check the path" : "; give a file that you may read"),
              is_missing ? ExitCode::usage : ExitCode::bad_input);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // no FIFO hangs us
  if (file < 0) refuse(path, "open it");
  struct stat status {};
  void* address = nullptr;
  const bool known = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  if (known && status.st_size > 0)
    address = ::mmap(nullptr, std::size_t(status.st_size), PROT_READ, MAP_SHARED, file, 0);
  const int reason = known ? errno : EINVAL;
  ::close(file);
  errno = reason;
  if (!known) refuse(path, "read it as a file");
  if (address == MAP_FAILED) refuse(path, "map it into memory");
  data_ = static_cast<const std::byte*>(address);
  size_ = status.st_size;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), std::size_t(size_));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace metascale
