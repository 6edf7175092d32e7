// An open file with its path, so that every failure names the file, the cause and the remedy.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace metascale {

// Throws Error{io}: "<path>: cannot <action>: <errno's text>; <what to do about it>".
[[noreturn]] void throw_io_error(std::string_view action, const std::filesystem::path& path,
                                 int error_number);

// A link at the end of a path. What runs and sweeps keep in their folders is no link, and none is
// followed there: whoever made the folder could have us show, or write to, any file of ours by one.
enum class Links { follow, refuse };

// Throws Error{bad_input} where this is a symbolic link.
void refuse_link(const std::filesystem::path& path);
// Makes a folder that is ours alone, and those above it, where they are missing. Throws Error{io},
// and as refuse_link does; folders above it may be links.
void make_own_folder(const std::filesystem::path& path);

class File {
 public:
  File() = default;
  // As open(2) takes them, with O_CLOEXEC and O_NONBLOCK: no FIFO hangs us. Throws Error{io}.
  File(const std::filesystem::path& path, int flags, mode_t mode = 0666);
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const;  // bytes; throws Error{bad_input} unless it is a regular file

  // All of it, or Error{io}; a part may stand in the file then.
  void write(const void* bytes, std::size_t count) const;
  // Up to count bytes from offset; fewer only at the end of the file. Returns how many.
  std::size_t read_some(void* bytes, std::size_t count, std::uint64_t offset) const;
  // Exactly count bytes, or Error{bad_input} saying that the file is too short.
  void read(void* bytes, std::size_t count, std::uint64_t offset) const;
  void sync() const;       // fsync
  void sync_data() const;  // fdatasync
  void close();            // a failure that only close(2) reports is thrown, too

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

File open_to_read(const std::filesystem::path& path, Links links);  // throws Error{io}

}  // namespace metascale
