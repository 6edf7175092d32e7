// The safetensors format: 8 bytes of header length, a JSON header, and the tensors' bytes
// [github.com/huggingface/safetensors, "Format"]. Checkpoints and exchanged weights are such files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/file.hpp"
#include "core/hash.hpp"

namespace metascale {

enum class StoredDtype { f64, f32, f16, bf16, i64, i32, u8, boolean };
std::size_t size_of(StoredDtype dtype);  // bytes
const char* name_of(StoredDtype dtype);  // as the format says it: "BF16"

struct StoredTensor {
  std::string name;
  StoredDtype dtype = StoredDtype::f32;
  std::vector<std::int64_t> shape;  // empty: a scalar
  const void* data = nullptr;       // row-major, little-endian

  std::uint64_t elements() const;
  std::uint64_t bytes() const { return elements() * size_of(dtype); }
};

// Writes beside path, syncs, renames. Names must be unique, shapes positive or zero. The data go
// from their pointers to the file. Returns the digest of the whole file. Throws Error{io}.
Hash128 write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                          const std::map<std::string, std::string>& metadata);

// A safetensors file of unknown origin. Its header is read and checked at once: lengths against the
// file's, tensors without gap, overlap or doubled name. Throws Error{bad_input} with path and
// tensor.
class SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    StoredDtype dtype = StoredDtype::f32;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, bytes = 0;  // in the file
  };
  static constexpr std::uint64_t max_header_bytes = 100'000'000;  // as the reference reader has it

  explicit SafetensorsFile(const std::filesystem::path& path, Links links = Links::follow);

  const std::vector<Entry>& entries() const { return entries_; }  // sorted by name
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const Entry* find(const std::string& name) const;  // nullptr if there is none
  const Entry& at(const std::string& name) const;    // throws, naming what there is
  // Exactly entry.bytes are expected in `bytes`; reads them to data.
  void read(const Entry& entry, void* data, std::uint64_t bytes) const;
  Hash128 digest() const;  // of the whole file, which is read for it

 private:
  void parse(const std::string& header, std::uint64_t data_begin);
  void check_layout(std::uint64_t data_begin) const;
  File file_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace metascale
