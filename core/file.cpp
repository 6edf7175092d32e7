#include "core/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.hpp"

namespace metascale {
namespace {

struct Remedy {
  int error_number;
  const char* text;
};
constexpr Remedy remedies[] = {
    {ENOSPC, "free some space on this disk, then start again"},
    {EDQUOT, "your disk quota is used up: free some space, then start again"},
    {EFBIG, "raise the limit on file sizes (ulimit -f), then start again"},
    {EACCES, "check the permissions of the file and of its folders"},
    {EPERM, "check the permissions of the file and of its folders"},
    {EROFS, "the file system is mounted read-only: choose another folder"},
    {ENOENT, "check the path; its folder must exist"},
    {ENOTDIR, "a part of the path is a file, not a folder: check the path"},
    {EISDIR, "this is a folder: name a file"},
    {ELOOP, "a symbolic link is not followed here: put the file itself in its place"},
    {EMFILE, "too many files are open: raise the limit (ulimit -n)"},
    {EIO, "the disk reports an error: check it, and read from a copy"},
};

}  // namespace

void throw_io_error(std::string_view action, const std::filesystem::path& path, int error_number) {
  const auto* found = std::find_if(std::begin(remedies), std::end(remedies),
                                   [&](const Remedy& r) { return r.error_number == error_number; });
  const char* remedy = found == std::end(remedies) ? "check the disk and the path" : found->text;
  throw Error(concat(path.string(), ": cannot ", action, ": ",
                     std::generic_category().message(error_number), "; ", remedy),
              ExitCode::io);
}

void refuse_link(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_symlink(std::filesystem::symlink_status(path, error)))
    throw Error(
        concat(path.string(),
               ": is a symbolic link, and what is written or removed there would be outside "
               "of its folder; put a folder in its place, or the whole run or sweep on the "
               "other disk"),
        ExitCode::bad_input);
}

void make_own_folder(const std::filesystem::path& path) {
  refuse_link(path);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw_io_error("create the folder", path, error.value());
}

File::File(const std::filesystem::path& path, int flags, mode_t mode) : path_(path) {
  do {
    descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, mode);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) throw_io_error((flags & O_CREAT) ? "create" : "open", path, errno);
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw_io_error("examine", path_, errno);
  if (!S_ISREG(status.st_mode))
    throw Error(concat(path_.string(), ": this is not a regular file; name a file"),
                ExitCode::bad_input);
  return std::uint64_t(status.st_size);
}

void File::write(const void* bytes, std::size_t count) const {
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, count);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_io_error("write", path_, errno);
    if (written == 0) throw_io_error("write", path_, ENOSPC);
    next += written;
    count -= std::size_t(written);
  }
}

std::size_t File::read_some(void* bytes, std::size_t count, std::uint64_t offset) const {
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(bytes) + done, count - done, off_t(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io_error("read", path_, errno);
    if (got == 0) break;
    done += std::size_t(got);
  }
  return done;
}

void File::read(void* bytes, std::size_t count, std::uint64_t offset) const {
  const std::size_t got = read_some(bytes, count, offset);
  if (got != count)
    throw Error(concat(path_.string(), ": the file ends after ", offset + got, " bytes, but ",
                       offset + count, " are needed; it was cut short: copy or make it anew"),
                ExitCode::bad_input);
}

void File::sync() const {
  if (::fsync(descriptor_) != 0) throw_io_error("sync to disk", path_, errno);
}

void File::sync_data() const {
  if (::fdatasync(descriptor_) != 0) throw_io_error("sync to disk", path_, errno);
}

void File::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (descriptor >= 0 && ::close(descriptor) != 0 && errno != EINTR)
    throw_io_error("close", path_, errno);
}

File open_to_read(const std::filesystem::path& path, Links links) {
  return File(path, links == Links::follow ? O_RDONLY : O_RDONLY | O_NOFOLLOW);
}

}  // namespace metascale
