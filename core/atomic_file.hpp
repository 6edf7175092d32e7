// Files that are either the old or the new version, whole, whatever happens: written beside their
// name, synced, renamed over it, and the folder synced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/file.hpp"

namespace metascale {

// A file being written under a name of its own beside `path`. Without commit() it is removed again.
class AtomicFile {
 public:
  // Throws Error{io}, also as refuse_special_file does.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }  // exists and is empty
  void commit();  // syncs it, renames it to path, syncs the folder; throws Error{io}

 private:
  std::filesystem::path path_, temporary_;
};

// Throws Error where path leads to a device, a FIFO or a socket, or is a link to an open file, such
// as /dev/stdout: the rename would put a file in its place, for everybody.
void refuse_special_file(const std::filesystem::path& path, ExitCode code = ExitCode::io);

// Throws Error{io}; what stood at path before then still stands.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// The whole file. Throws Error{io}, or Error{bad_input} if it is larger than max_bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = 64u << 20,
                      Links links = Links::follow);

void sync_folder(const std::filesystem::path& folder);  // makes renames in it last

// Removes what writers killed midway left in this folder. Only its owner may call it.
void remove_unfinished_files(const std::filesystem::path& folder);

}  // namespace metascale
