// The bytes of a file, decompressed if its name ends in .zst, with the digest of what is stored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace metascale {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Appends at least one byte to out, or returns false at the end.
  // Throws Error{bad_input} for a damaged or truncated file and for zstd whose window is above 128
  // MiB, or above both 8 MiB and 1024 times the file; Error{io} if it cannot be read.
  virtual bool read(std::string& out) = 0;
  virtual std::int64_t stored_bytes() const = 0;  // read so far
  virtual std::string sha256() = 0;               // of the stored bytes; once, after the end
};

std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path);

}  // namespace metascale
