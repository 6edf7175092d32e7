// The texts of the validation and test parts, by hash: training has none of them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "data/files/buffered_writer.hpp"

namespace metascale {

class HeldOutTexts {
 public:
  static constexpr std::int64_t most = std::int64_t(1) << 23;  // texts, of 16 bytes each
  explicit HeldOutTexts(const std::filesystem::path& path, const FileMark& from = {});
  // Throws Error{bad_input} above most.
  void add(std::string_view text);
  FileMark mark() { return file_.mark(); }
  // Whether the text was added. Reads what was added at the first call; nothing is added behind it.
  bool holds(std::string_view text);

 private:
  void load();
  BufferedWriter file_;
  std::vector<std::array<std::uint64_t, 2>> sorted_;  // as they stand in the file
  bool loaded_ = false;
};

}  // namespace metascale
