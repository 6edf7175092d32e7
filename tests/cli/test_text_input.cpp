// Text that verbs read from anywhere: what never ends, cannot be read or is no file is refused.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "core/file.hpp"
#include "tests/cli/shell.hpp"
#include "tests/support/sanitizer.hpp"

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

TEST_CASE("a path that cannot be examined is told of as one that cannot be opened") {
  const RunsFolder runs;
  const fs::path loop = runs.path() / "loop.txt";
  fs::create_symlink("loop.txt", loop);
  for (const char* verb : {"encode", "decode"}) {
    const Ended ended = call_program(runs.path(), {"data", verb, "--tokenizer", "bytes", loop});
    INFO(ended.text);
    CHECK(ended.code == int(ExitCode::usage));
    CHECK_THAT(ended.text, Contains("loop.txt: cannot be opened: Too many levels"));
  }
  const Ended ended =
      call_program(runs.path(), {"data", "prepare", loop, "--out", runs.path() / "out"});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains("loop.txt: cannot examine: Too many levels"));
}

TEST_CASE("a text that cannot be examined is not left out of its folder's preparation") {
  const RunsFolder runs;
  const fs::path texts = runs.path() / "texts";
  fs::create_directories(texts / "more");
  std::ofstream(texts / "good.txt") << "some text";
  fs::create_symlink("loop.txt", texts / "more/loop.txt");
  const Words words{"data", "prepare", texts, "--out", runs.path() / "out"};
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains("more/loop.txt: cannot examine: Too many levels"));
}

TEST_CASE("a preparation tells what of its source it passed over") {
  const RunsFolder runs;
  const fs::path texts = runs.path() / "texts";
  fs::create_directories(texts);
  for (int i = 0; i < 100; ++i) std::ofstream(texts / fmt::format("{}.txt", i)) << "text " << i;
  for (const char* other : {"d.json", "b.jsonl.gz"}) std::ofstream(texts / other) << "x";
  Words words{"data", "prepare", texts, "--out", runs.path() / "out"};
  const Ended ended = call_program(runs.path(), words);
  INFO(ended.text);
  CHECK(ended.code == 0);
  CHECK_THAT(ended.text, Contains("files passed over, which are none of .jsonl, .txt, .text: 2, "
                                  "the first: ") &&
                             Contains("b.jsonl.gz"));
  words.push_back("--json");
  CHECK_THAT(call_program(runs.path(), words).text,
             Contains("\"passed_over\": {\n    \"count\": 2,\n    \"first\": \""));
}

TEST_CASE("a word that is no id is refused by its number, also as the last") {
  const RunsFolder runs;
  const fs::path path = runs.path() / "ids.txt";
  std::ofstream(path) << "65 " << GENERATE("99999999999", "-", "6x", "0x41", "6.5");
  const Ended ended = call_program(runs.path(), {"data", "decode", "--tokenizer", "bytes", path});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("ids.txt: word 2 is no token id"));
}

// The next line that comes within some seconds; empty where none does.
std::string next_line(std::FILE* pipe) {
  pollfd ready{.fd = ::fileno(pipe), .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, 20'000) != 1) return "";
  char line[1000] = "";
  return std::fgets(line, sizeof line, pipe) ? line : "";
}

TEST_CASE("who writes a line and waits for its ids gets them before the next") {
  const RunsFolder runs;
  const fs::path path = runs.path() / "lines";
  REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
  const std::vector<std::string> words{METASCALE_PROGRAM, "data",  "encode",
                                       "--tokenizer",     "bytes", "--jsonl"};
  const std::string call = "exec " + shell_quoted(words) + " <" + shell_quoted(path.string());
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> answers(::popen(call.c_str(), "r"),
                                                                ::pclose);
  REQUIRE(answers);
  File questions(path, O_RDWR);  // a read end, too: nothing waits or is killed where it has ended
  for (const char* text : {"ab", "cd"}) {
    const std::string line = fmt::format("{{\"text\": \"{}\"}}\n", text);
    questions.write(line.data(), line.size());
    CHECK_THAT(next_line(answers.get()),
               Contains(fmt::format("\"ids\":[{},{}]", int(text[0]), int(text[1]))));
  }
  questions.close();
  CHECK(next_line(answers.get()).empty());
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

TEST_CASE("a verb that trains nothing gives no advice about training where memory ends") {
  if (testing::is_sanitized) return;  // by what takes all addresses
  const RunsFolder runs;
  const Words words{"data",           "encode",        "--tokenizer", "bytes",
                    "--longest-line", "1000000000000", "/dev/zero"};
  const Ended ended = testing::call_behind("ulimit -v 1000000", runs.path() / "stdout", words);
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::run_failed));
  CHECK_THAT(ended.text, Contains("out of memory; ") && !Contains("training"));
}

}  // namespace
}  // namespace metascale
