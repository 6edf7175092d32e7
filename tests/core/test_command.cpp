#include <signal.h>

#include <catch2/catch.hpp>
#include <chrono>

#include "core/command.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const Lines& words) {
  Lines lines;
  const CommandResult result =
      run_command(words, {.line = [&](const std::string& line) { lines.push_back(line); }});
  CHECK(result.good());
  CHECK(result.output.empty());
  return lines;
}

}  // namespace

TEST_CASE("command: one that is not there, one that fails and one that is killed are told apart") {
  const CommandResult absent = run_command({"metascale-no-such-program"});
  CHECK_FALSE(absent.found);
  CHECK(absent.exit_code == 127);
  CHECK_THAT(absent.complaint(), Catch::Contains("metascale-no-such-program: No such file"));
  const CommandResult failed = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"});
  CHECK(failed.complaint() == "exit code 3: err");
  CHECK_FALSE(failed.good());
  CHECK(run_command({"sh", "-c", "kill -9 $$"}).exit_code == 128 + 9);
}

TEST_CASE("command: output and errors come apart, joined, or line by line") {
  const Lines words{"sh", "-c", "echo out; echo err >&2; pwd"};
  const CommandResult apart = run_command(words, {.folder = "/"});
  CHECK(apart.output == "out\n/\n");
  CHECK(apart.error == "err\n");
  const CommandResult joined = run_command(words, {.folder = "/", .joined = true});
  CHECK(joined.output == "out\nerr\n/\n");
  CHECK(joined.error.empty());
  CHECK(lines_of({"sh", "-c", "echo out; echo err >&2"}) == Lines{"out", "err"});
}

TEST_CASE("command: lines come whole, empty ones and a last one without its end, too") {
  const TemporaryFolder folder;
  const std::string file = folder.write("a", "one\n\nthree").string();
  CHECK(lines_of({"cat", file}) == Lines{"one", "", "three"});
  const std::string longer(200'000, 'x');  // than a pipe holds
  folder.write("a", longer + "\n" + longer);
  CHECK(lines_of({"cat", file}) == Lines{longer, longer});
  CHECK(run_command({"cat", file}).output.size() == 400'001);
}

TEST_CASE("command: one that takes too long is killed, also where it has closed its output") {
  const auto start = std::chrono::steady_clock::now();
  CHECK(run_command({"sleep", "30"}, {.seconds = 0.1}).timed_out);
  CHECK(run_command({"sh", "-c", "exec >&- 2>&-; exec sleep 30"}, {.seconds = 0.1}).timed_out);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("command: one whose lines nobody wants any more is ended") {
  const auto start = std::chrono::steady_clock::now();
  CHECK_THROWS_AS(run_command({"sh", "-c", "echo one; exec sleep 30"},
                              {.line = [](const std::string&) { throw Error("enough"); }}),
                  Error);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("command: variables that it must not see are kept from it") {
  setenv("METASCALE_TEST_A", "1", 1), setenv("METASCALE_TEST_B", "2", 1);
  setenv("METASCALE_TESTER", "3", 1);
  const auto seen = [](const std::vector<std::string>& without) {
    return run_command({"sh", "-c", "echo $METASCALE_TEST_A $METASCALE_TEST_B $METASCALE_TESTER"},
                       {.without = without})
        .output;
  };
  CHECK(seen({}) == "1 2 3\n");
  CHECK(seen({"METASCALE_TEST_A"}) == "2 3\n");
  CHECK(seen({"METASCALE_TEST_*", "METASCALE_T"}) == "3\n");
  for (const char* name : {"METASCALE_TEST_A", "METASCALE_TEST_B", "METASCALE_TESTER"})
    unsetenv(name);
}

TEST_CASE("command: it has all its signals, whatever this process blocks") {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  const CommandResult result = run_command({"grep", "SigBlk", "/proc/self/status"});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(result.output == "SigBlk:\t0000000000000000\n");
}
