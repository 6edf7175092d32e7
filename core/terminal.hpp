// What the stream that a program prints to can do.
#pragma once

#include <cstdio>

namespace metascale {

bool is_terminal(std::FILE* stream);   // one that moves its cursor; TERM=dumb does not
bool wants_colour(std::FILE* stream);  // a terminal, and NO_COLOR is not set [no-color.org]
int columns_of(std::FILE* stream);     // 80 where unknown
int rows_of(std::FILE* stream);        // 24 where unknown

}  // namespace metascale
