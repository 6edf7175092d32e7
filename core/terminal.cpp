#include "core/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <string_view>

namespace metascale {
namespace {

constexpr char digits[] = "0123456789abcdef";

// Calls put with each byte as it may be shown.
template <typename Put>
void each_printable(std::string_view text, Put&& put) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto letter = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    const bool is_c1 = letter == 0xc2 && next >= 0x80 && next < 0xa0;
    if (!is_c1 && ((letter >= 0x20 && letter != 0x7f) || letter == '\n' || letter == '\t')) {
      put(text[i]);
      continue;
    }
    if (is_c1) letter = next, ++i;
    for (const char shown : {'\\', 'x', digits[letter / 16], digits[letter % 16]}) put(shown);
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  each_printable(text, [&](char letter) { shown += letter; });
  return shown;
}

void print_printable_line(std::FILE* stream, std::string_view before,
                          std::string_view text) noexcept {
  char buffer[PIPE_BUF];
  std::size_t count = 0;
  const auto put = [&](char letter) {
    buffer[count++] = letter;
    if (count < sizeof buffer) return;
    std::fwrite(buffer, 1, count, stream);
    count = 0;
  };
  for (const char letter : before) put(letter);
  each_printable(text, put);
  put('\n');
  std::fwrite(buffer, 1, count, stream);
}

bool is_terminal(std::FILE* stream) {
  const char* kind = std::getenv("TERM");
  return ::isatty(::fileno(stream)) == 1 && kind && std::string_view(kind) != "dumb";
}

bool wants_colour(std::FILE* stream) {
  const char* refused = std::getenv("NO_COLOR");
  return is_terminal(stream) && !(refused && *refused);
}

int columns_of(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

int rows_of(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return 24;
  return size.ws_row;
}

}  // namespace metascale
