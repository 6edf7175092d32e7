// A file's lines, read in blocks, so that a journal of any size takes little memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/file.hpp"

namespace metascale {

class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& path);

  // The next line without its line feed, or false at the end. The view lasts until the next call.
  // Throws Error{io}, or Error{bad_input} for a line of more than max_line_bytes.
  bool next(std::string_view& line);
  bool ended() const { return ended_; }            // whether the last line had its line feed
  std::uint64_t begin() const { return begin_; }   // where the last line began in the file
  std::int64_t number() const { return number_; }  // of the last line, from 1
  bool at_end();                                   // whether nothing follows

  static constexpr std::size_t max_line_bytes = std::size_t(256) << 20;

 private:
  bool fill();  // reads another block; false at the end of the file
  File file_;
  std::string buffer_;
  std::size_t used_ = 0;    // of buffer_: lines already handed out
  std::uint64_t read_ = 0;  // of the file
  std::uint64_t begin_ = 0;
  std::int64_t number_ = 0;
  bool ended_ = true;
};

}  // namespace metascale
