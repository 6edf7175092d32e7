// One fault in one place of one process of the program.
#pragma once

#include <string>

#include "tests/cli/program.hpp"

namespace metascale::testing {

// As the injector takes it [injector.cpp].
struct Fault {
  const char* name;    // for the table
  const char* call;    // write, sync, rename, create, clock, network
  const char* action;  // kill, term, stop, torn, short, size, seconds, or the number of an error
};

struct Place {
  const char* name;  // for the table
  const char* part;  // of the path of the file
};

struct Faulted {
  Ended ended;
  bool was_hit = false;  // the process came so far
};

// Runs the program with the fault at the number-th such call. A process that stops itself is left
// for a moment, then goes on.
Faulted call_with_fault(const std::filesystem::path& folder, const Words& words, const Fault& fault,
                        const Place& place, int number);

// "absorbed" for 0, "saved", "killed", "exit code 74" ...
std::string outcome_name(int code);

}  // namespace metascale::testing
