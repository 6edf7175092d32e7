// Files that are either the old or the new version, whole, whatever happens: written beside their
// name, synced, renamed over it, and the folder synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/file.hpp"

namespace metascale {

// A file being written under a name of its own beside `path`. Without commit() it is removed again.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);  // throws Error{io}
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }  // exists and is empty
  void commit();  // syncs it, renames it to path, syncs the folder; throws Error{io}

 private:
  std::filesystem::path path_, temporary_;
};

// Throws Error{io}; what stood at path before then still stands.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// The whole file. Throws Error{io}, or Error{bad_input} if it is larger than max_bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = 64u << 20,
                      Links links = Links::follow);

void sync_folder(const std::filesystem::path& folder);  // makes renames in it last

// Removes what writers killed midway left in this folder. Only its owner may call it.
void remove_unfinished_files(const std::filesystem::path& folder);

}  // namespace metascale
