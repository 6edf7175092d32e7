// A short command of the batch system: its words as they are, without a shell, with a time limit of
// ours (a command of Slurm whose controller is down takes ten seconds and more to say so).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace metascale {

struct CommandResult {
  int exit_code = 0;  // 128 + n where signal n ended it; 127: no such program
  bool timed_out = false;
  std::string output, error;  // at most 64 MiB each
  bool good() const { return exit_code == 0 && !timed_out; }
  // "exit code 1: <the first words of stderr>".
  std::string complaint() const;
};

struct CommandOptions {
  std::filesystem::path folder;  // to run it in; empty: here
  double seconds = 30;           // then it is killed
};

// words[0] is looked for on PATH. Throws Error{unavailable} only where no process can be made.
CommandResult run_command(const std::vector<std::string>& words,
                          const CommandOptions& options = {});

}  // namespace metascale
