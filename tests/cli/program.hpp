// The program itself, started as people start it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "core/child.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale::testing {

using Words = std::vector<std::string>;

struct Ended {
  int code = 0;      // 128 + n where signal n ended it
  std::string text;  // stdout and stderr
};

// A metascale process; one thread, so that tests share a machine. Its output goes to a file in
// `folder`.
class Program {
 public:
  Program(const std::filesystem::path& folder, const Words& arguments);
  bool is_running() { return !child_.poll(); }
  void send(int signal) { child_.send(signal); }
  pid_t process() const { return child_.process(); }
  // Fails the test after that time.
  Ended wait(std::chrono::seconds limit = std::chrono::minutes(2));

 private:
  std::filesystem::path output_;
  Child child_;
};

// Runs the program to its end.
Ended call_program(const std::filesystem::path& folder, const Words& arguments,
                   std::chrono::seconds limit = std::chrono::minutes(2));

// Waits until `condition` holds; false where it does not within that time.
bool came_true(const std::function<bool()>& condition, std::chrono::seconds limit);
// The same; fails the test after a minute.
void wait_until(const std::function<bool()>& condition);

// Lines of a run's journal: how far a run in another process is.
std::size_t journal_lines(const std::filesystem::path& run_folder);

}  // namespace metascale::testing
