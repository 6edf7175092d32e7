#include "data/files/buffered_writer.hpp"

#include <fcntl.h>

#include <bit>

namespace metascale {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little endian");
constexpr std::size_t buffer_bytes = std::size_t(1) << 20;

}  // namespace

BufferedWriter::BufferedWriter(const std::filesystem::path& path)
    : atomic_(path), file_(atomic_.temporary(), O_RDWR | O_TRUNC) {
  buffer_.reserve(buffer_bytes);
}

void BufferedWriter::write(const void* bytes, std::size_t count) {
  if (buffer_.size() + count > buffer_bytes) flush();
  sha256_.update(bytes, count);
  size_ += std::int64_t(count);
  if (count > buffer_bytes) return file_.write(bytes, count);
  const char* begin = static_cast<const char*>(bytes);
  buffer_.insert(buffer_.end(), begin, begin + count);
}

void BufferedWriter::flush() {
  file_.write(buffer_.data(), buffer_.size());
  buffer_.clear();
}

std::string BufferedWriter::sha256() {
  const auto digest = sha256_.finish();
  return to_hex(digest.data(), digest.size());
}

void BufferedWriter::commit() {
  flush();
  file_.close();
  atomic_.commit();
}

}  // namespace metascale
