#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/atomic_file.hpp"
#include "core/terminal.hpp"

namespace metascale {

void print_json_line(const nlohmann::json& document) {
  fmt::print("{}\n", document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(stdout);
}

std::string for_stdout(const std::string& text) {
  return isatty(STDOUT_FILENO) == 1 ? printable(text) : text;
}

void expect_file_name(const char* option, const std::filesystem::path& path) {
  std::error_code ignored;  // writing says why
  if (std::filesystem::is_directory(path, ignored))
    throw Error(fmt::format("{} {}: this is a folder; give the path of a file, such as {}", option,
                            path.string(), (path / "a.bin").string()),
                ExitCode::usage);
  refuse_special_file(path, ExitCode::usage);
}

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

StatusLine::~StatusLine() {
  if (terminal_) fmt::print(stderr, "\r\x1b[K");
}

void StatusLine::show(const std::string& text) {
  const auto now = std::chrono::steady_clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
  if (now - last_ < pause) return;
  last_ = now;
  if (terminal_)
    fmt::print(stderr, "\r\x1b[K{}", printable(text));
  else
    fmt::print(stderr, "{}\n", printable(text));
  std::fflush(stderr);
}

}  // namespace metascale
