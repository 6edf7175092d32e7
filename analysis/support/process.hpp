// Runs another program, without a shell.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace metascale {

struct ProcessResult {
  bool found = true;  // the program exists
  bool timed_out = false;
  int exit_code = -1;  // 128 + signal if a signal ended it
  std::string output;  // stdout and stderr together, at most 64 KiB
  bool good() const { return found && !timed_out && exit_code == 0; }
};

// argv[0] is looked up in PATH. The program reads /dev/null, runs in `folder`, and is killed after
// `seconds`. Throws Error{io} only if no process or pipe can be made.
ProcessResult run_process(const std::vector<std::string>& argv, const std::filesystem::path& folder,
                          double seconds);

}  // namespace metascale
