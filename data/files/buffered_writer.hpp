// A file written in large pieces and digested on the way. Another process can go on with it from
// its last mark.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/file.hpp"
#include "core/hash.hpp"

namespace metascale {

// How much of a file is known to be on disk, and the CRC-32C of that.
struct FileMark {
  std::int64_t bytes = 0;
  std::uint32_t crc = 0;
};

class BufferedWriter {
 public:
  // Keeps the first from.bytes bytes of what is there, reads them again and cuts off the rest.
  // Throws Error{io}, Error{bad_input} where they are not those of the mark.
  explicit BufferedWriter(const std::filesystem::path& path, const FileMark& from = {});
  void write(const void* bytes, std::size_t count);
  template <typename Number>
  void number(Number value) {  // as it stands in memory: little endian
    write(&value, sizeof value);
  }
  void flush();
  FileMark mark();  // flushes and syncs
  std::int64_t size() const { return size_; }
  const File& file() const { return file_; }  // what was flushed so far
  std::string sha256();                       // of everything written; once, at the end
  void close();                               // flushes and syncs

 private:
  void digest(const void* bytes, std::size_t count);
  File file_;
  std::vector<char> buffer_;
  std::int64_t size_ = 0, synced_ = 0;
  std::uint32_t crc_ = 0;
  Sha256 sha256_;
};

}  // namespace metascale
