// A program run with its arguments as they are, without a shell; what it says is read line by line.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace metascale {

// Runs arguments[0], found on PATH, with its output and errors joined; calls line for each line of
// them. Returns the exit code, or 128 + the signal that ended it. If line throws, the child is
// ended first. Throws Error{unavailable} if the program cannot be started.
int run_program(const std::vector<std::string>& arguments,
                const std::function<void(const std::string&)>& line);

}  // namespace metascale
