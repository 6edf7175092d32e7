#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <climits>
#include <cstdio>
#include <string>

#include "core/terminal.hpp"

using namespace metascale;

TEST_CASE("text that is printed moves no cursor and sets no title") {
  CHECK(printable("two\nlines\tand a tab") == "two\nlines\tand a tab");
  CHECK(printable("\xc3\xa4 \xe2\x82\xac \xc2\xa0") == "\xc3\xa4 \xe2\x82\xac \xc2\xa0");
  CHECK(printable("\x1b[2J\x07\r\x7f") == "\\x1b[2J\\x07\\x0d\\x7f");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("\xc2\x9b"
                  "2J \xc2\x80 \xc2") == "\\x9b2J \\x80 \xc2");  // C1, in UTF-8
}

// The two ends of a pipe of packets, in which each write stays by itself [pipe(2), O_DIRECT].
TEST_CASE("a line of up to 4 KiB is printed with one write, a longer one whole") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_DIRECT) == 0);
  std::FILE* const stream = ::fdopen(ends[1], "w");
  REQUIRE(stream != nullptr);
  std::setvbuf(stream, nullptr, _IONBF, 0);  // as stderr is
  const auto next_write = [&] {
    char bytes[PIPE_BUF];
    const ssize_t count = ::read(ends[0], bytes, sizeof bytes);
    return std::string(bytes, count > 0 ? std::size_t(count) : 0);
  };
  print_printable_line(stream, "before: ", "a\x1b[m");
  CHECK(next_write() == "before: a\\x1b[m\n");
  print_printable_line(stream, "", std::string(5000, 'x'));
  CHECK(next_write() == std::string(PIPE_BUF, 'x'));
  CHECK(next_write() == std::string(5000 - PIPE_BUF, 'x') + "\n");
  std::fclose(stream);
  ::close(ends[0]);
}
