// Text that verbs read from anywhere: what never ends, cannot be read or is no file is refused.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "tests/cli/shell.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::Words;

Ended converted(const RunsFolder& runs, const Words& words) {
  Words all{"data", "encode", "--tokenizer", "bytes"};
  all.insert(all.end(), words.begin(), words.end());
  return call_program(runs.path(), all);
}

TEST_CASE("a line longer than the bound is refused by file and line, with those before it done") {
  const RunsFolder runs;
  const fs::path path = runs.path() / "my.jsonl";
  const std::string good = "{\"text\": \"ab\"}\n";
  // Around the bound, and above what is read at once.
  const std::size_t more = GENERATE(std::size_t(0), std::size_t(1), std::size_t(200'000));
  std::ofstream(path) << good << "{\"text\": \"" << std::string(988 + more, 'x') << "\"}\n" << good;
  const Ended ended = converted(runs, {"--jsonl", "--longest-line", "1000", path});
  INFO(ended.text);
  CHECK_THAT(ended.text, Contains("\"ids\":[97,98]"));
  if (more == 0) {
    CHECK(ended.code == 0);
    CHECK(std::count(ended.text.begin(), ended.text.end(), '\n') == 3);
  } else {
    CHECK(ended.code == int(ExitCode::bad_input));
    CHECK_THAT(ended.text, Contains("my.jsonl:2: the line is longer than 1000 bytes; cut it"));
  }
}

TEST_CASE("the last line needs no end, and blank ones are counted and passed over") {
  const RunsFolder runs;
  const fs::path path = runs.path() / "my.jsonl";
  std::ofstream(path) << "\n{\"text\": \"ab\"}\n \n{\"text\": 5}";
  const Ended ended = converted(runs, {"--jsonl", path});
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("\"ids\":[97,98]") && Contains("my.jsonl:4: "));
}

TEST_CASE("input that never ends is refused, line by line and whole") {
  const RunsFolder runs;
  const bool lines = GENERATE(true, false);
  Words words{"--longest-line", "1000000", "/dev/zero"};
  if (lines) words.push_back("--jsonl");
  const Ended ended = converted(runs, words);
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains(lines ? "/dev/zero:1: the line is longer than 1000000 bytes"
                                        : "/dev/zero: is longer than 1000000 bytes"));
}

TEST_CASE("an error of reading is no end of the text") {
  const RunsFolder runs;
  const fs::path unreadable = "/proc/self/mem";  // at its begin
  for (const Words& words : {Words{unreadable}, Words{"--jsonl", unreadable}}) {
    const Ended ended = converted(runs, words);
    INFO(ended.text);
    CHECK(ended.code == int(ExitCode::io));
    CHECK_THAT(ended.text, Contains("/proc/self/mem: cannot read"));
  }
}

TEST_CASE("a folder in the place of a text is an error of usage") {
  const RunsFolder runs;
  for (const char* verb : {"encode", "decode"})
    for (const Words& more : {Words{}, Words{"--jsonl"}}) {
      Words words{"data", verb, "--tokenizer", "bytes", runs.path()};
      words.insert(words.end(), more.begin(), more.end());
      const Ended ended = call_program(runs.path(), words);
      INFO(ended.text);
      CHECK(ended.code == int(ExitCode::usage));
      CHECK_THAT(ended.text, Contains("is a folder; give a file in it"));
    }
}

TEST_CASE("a FIFO and a device are no source of a preparation") {
  const RunsFolder runs;
  const fs::path source = runs.path() / "my.txt";
  if (GENERATE(true, false))
    REQUIRE(::mkfifo(source.c_str(), 0666) == 0);
  else
    fs::create_symlink("/dev/zero", source);
  const Ended ended =
      call_program(runs.path(), {"data", "prepare", source, "--out", runs.path() / "out"});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Contains("my.txt: is neither a file nor a folder"));
  CHECK_FALSE(fs::exists(runs.path() / "out"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take all addresses
TEST_CASE("a verb that trains nothing gives no advice about training where memory ends") {
  const RunsFolder runs;
  const Words words{"data",           "encode",        "--tokenizer", "bytes",
                    "--longest-line", "1000000000000", "/dev/zero"};
  const Ended ended = testing::call_behind("ulimit -v 1000000", runs.path() / "stdout", words);
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::run_failed));
  CHECK_THAT(ended.text, Contains("out of memory; ") && !Contains("training"));
}
#endif

}  // namespace
}  // namespace metascale
