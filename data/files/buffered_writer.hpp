// A new file written in large pieces and digested on the way; it takes its name only by commit().
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/file.hpp"
#include "core/hash.hpp"

namespace metascale {

class BufferedWriter {
 public:
  explicit BufferedWriter(const std::filesystem::path& path);  // throws Error{io}
  void write(const void* bytes, std::size_t count);
  template <typename Number>
  void number(Number value) {  // as it stands in memory: little endian
    write(&value, sizeof value);
  }
  void flush();
  std::int64_t size() const { return size_; }
  const File& file() const { return file_; }  // what was flushed so far
  std::string sha256();                       // of everything written; once, at the end
  void commit();                              // flushes, syncs, renames to path

 private:
  AtomicFile atomic_;
  File file_;
  std::vector<char> buffer_;
  std::int64_t size_ = 0;
  Sha256 sha256_;
};

}  // namespace metascale
