// What a verb prints is part of what it does: where stdout takes none of it, no verb succeeded.
#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "tests/cli/shell.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::Ended, testing::RunsFolder, testing::Words;

// As on a full disk.
Ended call_without_room(const RunsFolder& runs, const Words& words) {
  return testing::call_behind("ulimit -f 0", runs.path() / "stdout", words);
}

void expect_loss(const Ended& ended) {
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text,
             Contains("standard output: cannot be written") && !Contains("internal error"));
}

TEST_CASE("a verb whose output is lost ends with 74 and names standard output") {
  const RunsFolder runs;
  RunConfig config = runs.config("model");
  config.training.steps = 2;
  const fs::path run = runs.write(config), tokens = runs.tokens("test"),
                 text = runs.path() / "my.txt", ids = runs.path() / "ids.txt",
                 sweep = write_tiny_sweep(runs);
  REQUIRE(testing::call_program(runs.path(), {"train", run}).code == 0);
  std::ofstream(text) << "my text";
  std::ofstream(ids) << "65 66";
  for (const Words& words : std::vector<Words>{{"--help"},
                                               {"--version"},
                                               {"data", "encode", "--tokenizer", "bytes", text},
                                               {"data", "decode", "--tokenizer", "bytes", ids},
                                               {"data", "inspect", tokens},
                                               {"data", "verify", tokens},
                                               {"generate", run, "--tokens", "3"},
                                               {"eval", run, "--data", tokens, "--json"},
                                               {"check", sweep},
                                               {"plan", sweep},
                                               {"status", runs.path()},
                                               {"show", run},
                                               {"show", run, "--json"}}) {
    CAPTURE(words);
    expect_loss(call_without_room(runs, words));
  }
}

TEST_CASE("output that is larger than a buffer is lost as a small one is") {
  const RunsFolder runs;
  const fs::path text = runs.path() / "my.txt", lines = runs.path() / "my.jsonl";
  std::ofstream(text) << std::string(300'000, 'x');
  for (int line = 0; line < 3000; ++line)
    std::ofstream(lines, std::ios::app) << "{\"text\": \"some of it\"}\n";
  expect_loss(call_without_room(runs, {"data", "encode", "--tokenizer", "bytes", text}));
  expect_loss(
      call_without_room(runs, {"data", "encode", "--tokenizer", "bytes", "--jsonl", lines}));
}

TEST_CASE("a verb that fails keeps its own exit code where its output is lost") {
  const RunsFolder runs;
  fs::resize_file(runs.tokens("test.bin"), 100);
  const Ended ended = call_without_room(runs, {"data", "verify", runs.tokens("test")});
  INFO(ended.text);
  CHECK(ended.code == int(ExitCode::bad_input));
}

}  // namespace
}  // namespace metascale
