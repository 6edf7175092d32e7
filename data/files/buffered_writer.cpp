#include "data/files/buffered_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "core/error.hpp"

namespace metascale {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little endian");
constexpr std::size_t buffer_bytes = std::size_t(1) << 20;

}  // namespace

BufferedWriter::BufferedWriter(const std::filesystem::path& path, const FileMark& from)
    : file_(path, O_RDWR | O_CREAT | O_NOFOLLOW) {
  buffer_.resize(buffer_bytes);
  while (size_ < from.bytes) {
    const auto count = std::size_t(std::min<std::int64_t>(from.bytes - size_, buffer_bytes));
    file_.read(buffer_.data(), count, std::uint64_t(size_));
    digest(buffer_.data(), count);
  }
  buffer_.clear();
  if (crc_ != from.crc)
    throw Error(concat(path.string(), ": its first ", from.bytes,
                       " bytes are not what was written there: damaged; remove the folder ",
                       path.parent_path().string(), " to begin anew"),
                ExitCode::bad_input);
  synced_ = size_;
  if (::ftruncate(file_.descriptor(), from.bytes) != 0) throw_io_error("cut", path, errno);
  if (::lseek(file_.descriptor(), from.bytes, SEEK_SET) < 0)
    throw_io_error("go on in", path, errno);
}

void BufferedWriter::digest(const void* bytes, std::size_t count) {
  sha256_.update(bytes, count);
  crc_ = crc32c(bytes, count, crc_);
  size_ += std::int64_t(count);
}

void BufferedWriter::write(const void* bytes, std::size_t count) {
  if (buffer_.size() + count > buffer_bytes) flush();
  digest(bytes, count);
  if (count > buffer_bytes) return file_.write(bytes, count);
  const char* begin = static_cast<const char*>(bytes);
  buffer_.insert(buffer_.end(), begin, begin + count);
}

void BufferedWriter::flush() {
  file_.write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

FileMark BufferedWriter::mark() {
  if (size_ != synced_) {
    flush();
    file_.sync_data();
    synced_ = size_;
  }
  return {.bytes = size_, .crc = crc_};
}

std::string BufferedWriter::sha256() {
  const auto digest = sha256_.finish();
  return to_hex(digest.data(), digest.size());
}

void BufferedWriter::close() {
  flush();
  file_.sync();
  file_.close();
}

}  // namespace metascale
