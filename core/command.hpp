// Another program, run to its end: its words as they are, without a shell, with a time limit (a
// command of Slurm whose controller is down takes ten seconds and more to say so).
#pragma once

#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace metascale {

inline constexpr double no_time_limit = std::numeric_limits<double>::infinity();

struct CommandResult {
  int exit_code = 0;  // 128 + n where signal n ended it; 127 where it could not be started
  bool found = true;  // it could be started
  bool timed_out = false;
  std::string output, error;  // at most 64 MiB each
  bool good() const { return exit_code == 0 && !timed_out; }
  // "exit code 1: <the first words of stderr>".
  std::string complaint() const;
};

struct CommandOptions {
  std::filesystem::path folder;  // to run it in; empty: here
  double seconds = 30;           // then it is killed
  bool joined = false;           // errors come in `output`, where the program wrote them
  // Variables that it is not given; "SQUEUE_*" are all whose names begin so.
  std::vector<std::string> without;
  // Gets each line of both as it comes, without its end; `output` is empty then. If it throws, the
  // program is ended.
  std::function<void(const std::string&)> line;
};

// words[0] is looked for on PATH. The program reads /dev/null. Throws Error{unavailable} only where
// no pipe can be made.
CommandResult run_command(const std::vector<std::string>& words,
                          const CommandOptions& options = {});

}  // namespace metascale
