// Errors say what is wrong, where, and how to mend it; the kind decides the program's exit code.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace metascale {

// Exit codes of the program [docs/sweep-file.md, "Exit codes"].
enum class ExitCode : int {
  good = 0,
  internal = 1,
  usage = 2,         // command line, definition, refused by plan or budget
  run_failed = 3,    // some runs failed; non-finite, out of memory, rank lost
  assertion = 4,     // an assertion did not hold, or a pair is not comparable
  bad_input = 65,    // damaged or foreign input file
  unavailable = 69,  // scheduler, device or library not available
  io = 74,           // disk or I/O
  saved = 75,        // saved on TERM or USR2: start me again
  interrupted = 130  // SIGINT, saved too
};

struct Error : std::runtime_error {
  explicit Error(const std::string& message, ExitCode code = ExitCode::internal)
      : std::runtime_error(message), code(code) {}
  ExitCode code;
};

// Joins its arguments with operator<<. (Device code includes this header, so no fmt here.)
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

}  // namespace metascale
