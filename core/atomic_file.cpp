#include "core/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <vector>

namespace metascale {
namespace {

constexpr std::string_view unfinished_mark = ".unfinished-";

std::filesystem::path folder_of(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  return folder.empty() ? std::filesystem::path(".") : folder;
}

// A name that nobody uses: writers on other threads, other processes and their leftovers each have
// another one, because the file is created exclusively.
std::filesystem::path create_beside(const std::filesystem::path& path) {
  refuse_special_file(path);
  for (int attempt = 0; attempt < 10000; ++attempt) {
    std::filesystem::path name = path;
    name += concat(unfinished_mark, ::getpid(), "-", attempt);
    const int descriptor = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      ::close(descriptor);
      return name;
    }
    if (errno != EEXIST && errno != EINTR) throw_io_error("create", name, errno);
  }
  throw_io_error("create a file beside", path, EEXIST);
}

bool is_special(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be examined is not there, or its folder says why
  return std::filesystem::is_other(path, ignored) ||
         std::filesystem::read_symlink(path, ignored).string().starts_with("/proc/");
}

}  // namespace

void refuse_special_file(const std::filesystem::path& path, ExitCode code) {
  if (is_special(path))
    throw Error(concat(path.string(),
                       ": is a device, a FIFO or an open file, and a file would be put in its "
                       "place; name another file, or remove it first"),
                code);
}

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path), temporary_(create_beside(path)) {}

AtomicFile::~AtomicFile() {
  std::error_code ignored;  // nothing is lost by a leftover
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  File(temporary_, O_RDONLY).sync();
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_io_error("rename to", path_, errno);
  temporary_.clear();
  sync_folder(folder_of(path_));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile atomic(path);
  File file(atomic.temporary(), O_WRONLY | O_TRUNC);
  file.write(bytes.data(), bytes.size());
  file.close();
  atomic.commit();
}

std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes, Links links) {
  const File file = open_to_read(path, links);
  const std::uint64_t size = file.size();
  if (size > max_bytes)
    throw Error(concat(path.string(), ": the file has ", size, " bytes, but at most ", max_bytes,
                       " are read here; is it the right file?"),
                ExitCode::bad_input);
  std::string bytes(std::size_t(size), '\0');
  bytes.resize(file.read_some(bytes.data(), bytes.size(), 0));
  return bytes;
}

void sync_folder(const std::filesystem::path& folder) {
  const File file(folder, O_RDONLY | O_DIRECTORY);
  // Some network file systems cannot sync a folder and say EINVAL: the rename is theirs to keep.
  if (::fsync(file.descriptor()) != 0 && errno != EINVAL)
    throw_io_error("sync to disk", folder, errno);
}

void remove_unfinished_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().filename().string().find(unfinished_mark) != std::string::npos &&
        entry.is_regular_file(error))
      leftovers.push_back(entry.path());
  }
  for (const auto& leftover : leftovers) std::filesystem::remove(leftover, error);
}

}  // namespace metascale
