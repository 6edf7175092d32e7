#include <catch2/catch.hpp>
#include <vector>

#include "core/command.hpp"
#include "data/corpus.hpp"
#include "data/tokenizer.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

using testing::error_of;
using testing::TemporaryFolder;

// PATH for the length of a test.
class Path {
 public:
  explicit Path(const std::string& folders) { ::setenv("PATH", folders.c_str(), 1); }
  ~Path() { ::setenv("PATH", before_.c_str(), 1); }

 private:
  std::string before_ = std::getenv("PATH");
};

TEST_CASE("an unknown tier is refused with the known ones") {
  CHECK_THAT(error_of(ExitCode::usage, [] { build_corpus({.tier = "huge"}); }),
             Catch::Contains("'huge'") && Catch::Contains("small, full and max"));
}

TEST_CASE("a machine without python3 is told so") {
  const TemporaryFolder folder;
  const Path path(folder.path().string());
  CHECK_THAT(error_of(ExitCode::unavailable, [&] { build_corpus({.folder = folder / "out"}); }),
             Catch::Contains("cannot run python3"));
}

TEST_CASE("a builder that fails is quoted") {
  const TemporaryFolder folder;
  const auto program = folder.write("python3", "#!/bin/sh\necho \"no network\" >&2\nexit 3\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const Path path(folder.path().string());
  std::vector<std::string> lines;
  const std::string message = error_of(ExitCode::unavailable, [&] {
    build_corpus({.folder = folder / "out",
                  .progress = [&](const std::string& line) { lines.push_back(line); }});
  });
  CHECK_THAT(message, Catch::Contains("code 3") && Catch::Contains("no network"));
  CHECK(lines == std::vector<std::string>{"no network"});
}

TEST_CASE(
    "the builder is given the folder as it is, whatever stands in its name, and a lock file") {
  const TemporaryFolder folder;
  const auto program = folder.write("python3", "#!/bin/sh\nfor word; do echo \"$word\"; done\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  const Path path(folder.path().string());
  std::vector<std::string> words;
  const std::string out = (folder / "a b; $(exit 1)/").string();
  build_corpus(
      {.folder = out, .progress = [&](const std::string& line) { words.push_back(line); }});
  REQUIRE(words.size() == 9);
  CHECK(words[4] == out);
  CHECK(words[6] ==
        (folder / "packages").string());  // beside it: its texts are no part of the corpus
  CHECK(words[8] == (corpus_scripts() / "lock-small.json").string());
}

TEST_CASE("the recipe of each tier names its packages, and the lock file has them") {
  const std::string tier = GENERATE("small", "full");
  const std::filesystem::path scripts = corpus_scripts();
  const std::string lock = testing::bytes_of(scripts / ("lock-" + tier + ".json"));
  std::vector<std::string> packages;
  const CommandResult listed =
      run_command({"python3", (scripts / "make_corpus.py").string(), "--tier", tier, "--list"},
                  {.line = [&](const std::string& line) { packages.push_back(line); }});
  CHECK(listed.good());
  CHECK(packages.size() == (tier == "small" ? 32 : 61));
  for (const std::string& package : packages)
    CHECK_THAT(lock, Catch::Contains("\"" + package + "\""));
}

TEST_CASE("a replaced package serves a locked corpus as long as its texts are the same") {
  const TemporaryFolder folder;
  std::string said;
  const CommandResult checked =
      run_command({"python3", std::string(METASCALE_SOURCE) + "/tests/data/check_locked_texts.py",
                   corpus_scripts().string(), folder.path().string()},
                  {.line = [&](const std::string& line) { said += line + "\n"; }});
  INFO(said);
  CHECK(checked.good());
  CHECK_THAT(
      said, Catch::Contains("package base-files is 13 instead of 12") && Catch::EndsWith("held\n"));
}

TEST_CASE("every locked package has the digest of its texts") {
  const std::string lock =
      testing::bytes_of(corpus_scripts() / GENERATE("lock-small.json", "lock-full.json"));
  std::size_t packages = 0, texts = 0;
  for (std::size_t at = 0; (at = lock.find("\"sha256\": \"", at)) != std::string::npos; ++at)
    ++packages;
  for (std::size_t at = 0; (at = lock.find("\"texts\": \"", at)) != std::string::npos; ++at)
    ++texts;
  CHECK(packages >= 32);
  CHECK(texts == packages);
}

TEST_CASE("the lock file has the digest of each file that a build makes") {
  const std::string tier = GENERATE("small", "full");
  const std::string lock = testing::bytes_of(corpus_scripts() / ("lock-" + tier + ".json"));
  const std::size_t shards = lock.find("\"shards\": {");
  REQUIRE(shards != std::string::npos);
  for (const char* name : {"train-000", "val", "test"})
    CHECK(lock.find("\"" + std::string(name) + ".jsonl.zst\": \"", shards) != std::string::npos);
}

TEST_CASE("the byte tokenizer is the bytes and an end") {
  const auto tokenizer = make_tokenizer("bytes");
  std::vector<std::int32_t> ids;
  tokenizer->encode(std::string_view("a\0\xff", 3), ids);
  CHECK(ids == std::vector<std::int32_t>{97, 0, 255});
  CHECK(tokenizer->decode(ids) == std::string("a\0\xff", 3));
  CHECK(tokenizer->byte_length(255) == 1);
  CHECK(tokenizer->byte_length(256) == 0);
  CHECK_THROWS_AS(tokenizer->byte_length(257), Error);
  CHECK_THAT(error_of(ExitCode::usage, [] { make_tokenizer("words"); }), Catch::Contains("bytes"));
}

}  // namespace
}  // namespace metascale
