// start_ranks COUNT PROGRAM ARGUMENT...: our own launcher, for programs that are tests.
#include <cstdlib>
#include <filesystem>

#include "core/local_ranks.hpp"

int main(int count, char** words) {
  if (count < 3) return 2;
  return metascale::run_local_ranks(
             {.count = std::atoi(words[1]), .words = {words + 2, words + count}})
      .code;
}
