// A file mapped read-only into memory; unmapped by the destructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

namespace metascale {

class MappedFile {
 public:
  MappedFile() = default;
  // An empty file maps to no bytes. Throws Error{usage} if there is no such file, Error{bad_input}
  // if it cannot be read.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  const std::byte* data() const { return data_; }
  std::int64_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace metascale
