// The program under limits that only a shell sets.
#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "sweeps/executor/quote.hpp"
#include "tests/cli/program.hpp"

namespace metascale::testing {

// Runs the program behind these commands of a shell, with its stdout in the file `out`. The text is
// what it wrote to stderr, by a pipe, which limits of files leave alone.
inline Ended call_behind(const std::string& commands, const std::filesystem::path& out,
                         const Words& arguments) {
  std::string line = commands + "; exec " + shell_quoted(METASCALE_PROGRAM);
  for (const std::string& word : arguments) line += " " + shell_quoted(word);
  line = fmt::format("({} 2>&1 >{}) </dev/null", line, shell_quoted(out.string()));
  FILE* stderr_of_it = ::popen(line.c_str(), "r");
  REQUIRE(stderr_of_it);
  Ended ended;
  for (int letter; (letter = std::fgetc(stderr_of_it)) != EOF;) ended.text += char(letter);
  const int status = ::pclose(stderr_of_it);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended;
}

}  // namespace metascale::testing
