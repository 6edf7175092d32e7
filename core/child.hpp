// A child process, started without a shell. It ends with this process (TERM), whatever happens.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace metascale {

struct ChildCommand {
  std::filesystem::path program;  // a bare name is looked for on PATH
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value", over the parent's own
  std::filesystem::path output;          // stdout and stderr are appended here; empty: ours
  std::vector<int> cores;                // empty: all
  std::vector<int> descriptors;          // of ours that it keeps, under the same numbers
  double start_seconds = 60;             // for it to become the program
};

// It was stopped, or hung, before it had become its program; it was killed then.
struct NotStarted : Error {
  using Error::Error;
};

class Child {
 public:
  // Throws Error{unavailable} where the program cannot be started, or NotStarted, which is one;
  // Error{io} where output cannot be opened.
  explicit Child(const ChildCommand& command);
  ~Child();  // kills and waits, if it still runs
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  // The exit code, once it has ended; 128 + n where signal n ended it.
  std::optional<int> poll();
  void send(int signal);
  void kill_group();  // it and what it started, unless that has a group of its own
  pid_t process() const { return process_; }

 private:
  void end();
  pid_t process_ = -1;  // -1: ended and waited for
  std::optional<int> code_;
};

}  // namespace metascale
