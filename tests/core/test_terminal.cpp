#include <catch2/catch.hpp>
#include <cstdio>

#include "core/terminal.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

TEST_CASE("text that is printed moves no cursor and sets no title") {
  CHECK(printable("two\nlines\tand a tab") == "two\nlines\tand a tab");
  CHECK(printable("\xc3\xa4 \xe2\x82\xac \xc2\xa0") == "\xc3\xa4 \xe2\x82\xac \xc2\xa0");
  CHECK(printable("\x1b[2J\x07\r\x7f") == "\\x1b[2J\\x07\\x0d\\x7f");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("\xc2\x9b"
                  "2J \xc2\x80 \xc2") == "\\x9b2J \\x80 \xc2");  // C1, in UTF-8
  const TemporaryFolder folder;
  std::FILE* const file = std::fopen((folder / "out").c_str(), "w");
  REQUIRE(file != nullptr);
  print_printable(file, "a\x1b[m\n");
  std::fclose(file);
  CHECK(read_bytes(folder / "out") == "a\\x1b[m\n");
}
