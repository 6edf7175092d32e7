// What a terminal would obey, in text that other people wrote: it is shown and not obeyed.
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/cli/program.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::RunsFolder;

// Sets the title, rings, moves to the top and clears.
const std::string hostile =
    "out\x1b]0;owned\x07 of \x1b[H\x1b[2Jreach \xc2\x9b"
    "31m";
const std::string shown = "out\\x1b]0;owned\\x07 of \\x1b[H\\x1b[2Jreach \\x9b31m";

// What the program says where its output is a terminal.
std::string text_on_terminal(const std::vector<std::string>& words) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  REQUIRE(child >= 0);
  if (child == 0) {
    std::vector<char*> arguments{const_cast<char*>(METASCALE_PROGRAM)};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execv(METASCALE_PROGRAM, arguments.data());
    ::_exit(127);
  }
  std::string text;
  char part[4096];
  pollfd readable{terminal, POLLIN, 0};
  constexpr int milliseconds = 60'000;
  int ready = 0;
  for (ssize_t got; (ready = ::poll(&readable, 1, milliseconds)) > 0 &&
                    (got = ::read(terminal, part, sizeof part)) > 0;)
    text.append(part, std::size_t(got));
  ::close(terminal);  // which hangs up on who is silent
  REQUIRE(ready > 0);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  return text;
}

TEST_CASE("why a run failed is shown by status and report, whatever a terminal makes of it") {
  const RunsFolder runs;
  REQUIRE(call_program(runs.path(), {"train", runs.write(runs.config("good")).string()}).code == 0);
  const fs::path folder = runs.write(runs.config("bad"));
  std::ofstream(folder / "FAILED") << hostile << "\n";
  for (const char* verb : {"status", "report"}) {
    const Ended ended = call_program(runs.path(), {verb, runs.path().string()});
    CAPTURE(verb, ended.text);
    CHECK(ended.code == 0);
    CHECK_THAT(ended.text, Contains(shown));
    CHECK(ended.text.find_first_of("\x1b\x07") == std::string::npos);
  }
}

TEST_CASE("an error that quotes a file is shown, whatever a terminal makes of it") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  std::ofstream(folder / "config.yaml", std::ios::app) << "\"\\e[2J\": 1\n";
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  INFO(ended.text);
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("\\x1b[2J"));
  CHECK(ended.text.find('\x1b') == std::string::npos);
}

TEST_CASE("logs shows a terminal what it would obey, and hands it on as it is elsewhere") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  fs::create_directories(folder / "attempts/0001");
  std::ofstream(folder / "attempts/0001/out.log") << hostile << "\n";
  const std::string seen = text_on_terminal({"logs", folder.string()});
  CHECK_THAT(seen, Contains(shown));
  CHECK(seen.find_first_of("\x1b\x07") == std::string::npos);
  CHECK_THAT(call_program(runs.path(), {"logs", folder.string()}).text, Contains(hostile));
}

}  // namespace
}  // namespace metascale
