// What the stream that a program prints to can do.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace metascale {

bool is_terminal(std::FILE* stream);   // one that moves its cursor; TERM=dumb does not
bool wants_colour(std::FILE* stream);  // a terminal, and NO_COLOR is not set [no-color.org]
int columns_of(std::FILE* stream);     // 80 where unknown
int rows_of(std::FILE* stream);        // 24 where unknown

// Text out of files as a terminal may show it: control characters other than line feeds and tabs,
// which would move the cursor, set the title or write over what was said, become \x1b and the like
// (those of C1 too, in UTF-8: U+009B is another ESC [).
std::string printable(std::string_view text);

// Prints before, printable(text) and a line feed. Takes no memory; up to 4 KiB (PIPE_BUF) go out in
// one write, so that lines of several processes, such as the ranks of a run, do not mix.
void print_printable_line(std::FILE* stream, std::string_view before,
                          std::string_view text) noexcept;

}  // namespace metascale
