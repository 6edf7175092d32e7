// What the verbs print with.
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace metascale {

// One line on stdout. A message may hold a path or a log, which need not be UTF-8.
void print_json_line(const nlohmann::json& document);

// What a file or a model says: as it is, or printable where stdout is a terminal.
std::string for_stdout(const std::string& text);

// Before work that may take hours: throws Error{usage} where the file that an option names, to be
// written at the end, is a folder, a device or a FIFO.
void expect_file_name(const char* option, const std::filesystem::path& path);

// One line on a terminal's stderr that is written over; elsewhere a plain line every ten seconds.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  // clears it
  void show(const std::string& text);

 private:
  bool terminal_;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace metascale
