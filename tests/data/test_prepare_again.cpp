// Preparations that were interrupted and called again.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <set>

#include "data/prepare.hpp"
#include "tests/support/file_size_limit.hpp"
#include "tests/support/files.hpp"
#include "tests/support/small_disk.hpp"

namespace metascale {
namespace {

using testing::bytes_of;
using testing::check_same_files;
using testing::error_of;
using testing::TemporaryFolder;

const auto tokenizer = make_tokenizer("bytes");

std::string lines_of(int first, int count) {
  std::string lines;
  for (int i = first; i < first + count; ++i)
    lines += fmt::format(
        "{{\"text\": \"document number {:05}\", \"meta\": {{\"pile_set_name\": "
        "\"{}\"}}}}\n",
        i, i % 3 ? "few" : "many");
  return lines;
}

void write_own_split(const TemporaryFolder& folder) {
  for (int file = 0; file < 4; ++file)
    folder.write(fmt::format("in/train-{}.jsonl", file), lines_of(100 * file, 30));
  folder.write("in/val.jsonl", lines_of(1000, 5));
  folder.write("in/test.jsonl", lines_of(2000, 5) + lines_of(205, 2));
}

// In a process of its own, which kills itself at call number `kill_at` of progress. Whether it did.
bool prepare_and_kill(PrepareOptions options, int kill_at) {
  const pid_t child = ::fork();
  if (child == 0) {
    int calls = 0;
    options.progress = [&](const PrepareProgress&) {
      if (++calls == kill_at) ::kill(::getpid(), SIGKILL);
    };
    try {
      prepare(options, *tokenizer);
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) REQUIRE(WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

TEST_CASE("a preparation killed anywhere and called again gives the same files") {
  const TemporaryFolder folder;
  const bool own_split = GENERATE(true, false);
  if (own_split)
    write_own_split(folder);
  else
    for (int file = 0; file < 4; ++file)
      folder.write(fmt::format("in/{}.jsonl", file), lines_of(100 * file, 90));
  // Saved behind each file, and behind some of them.
  const std::int64_t shard_bytes = GENERATE(1, 1200);
  const PrepareOptions once{
      .source = folder / "in", .out = folder / "once", .shard_bytes = shard_bytes};
  const PrepareResult whole = prepare(once, *tokenizer);
  int kills = 0;
  for (int kill_at = 1;; ++kill_at) {
    PrepareOptions options = once;
    options.out = folder / fmt::format("killed-{}", kill_at);
    const bool killed = prepare_and_kill(options, kill_at);
    kills += killed;
    const PrepareResult result = prepare(options, *tokenizer);
    CHECK(result.duplicates == whole.duplicates);
    CHECK(result.duplicates == (own_split ? 2 : 0));
    check_same_files(folder / "once", options.out);
    if (!killed) break;
  }
  CHECK(kills >= 6);
}

TEST_CASE("a preparation killed at each of its calls gets on all the same") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "once", .shard_bytes = 1};
  prepare(options, *tokenizer);
  options.out = folder / "killed";
  int calls = 0;
  while (prepare_and_kill(options, 3)) REQUIRE(++calls < 20);
  CHECK(calls == 3);
  check_same_files(folder / "once", folder / "killed");
}

TEST_CASE("called again behind a whole shard, a preparation says so and does not begin anew") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{
      .source = folder / "in", .out = folder / "out", .shard_bytes = 1, .find_overlap = false};
  REQUIRE(prepare_and_kill(options, 5));
  std::int64_t calls = 0;
  options.progress = [&](const PrepareProgress&) { ++calls; };
  CHECK(prepare(options, *tokenizer).resumed);
  CHECK(calls == 2);  // of six files four were done, and one was not yet marked as such
}

TEST_CASE("a preparation of the same files as another source begins anew, with its own domains") {
  const TemporaryFolder folder;
  for (const char* kind : {"novels", "poems"})
    for (int i = 0; i < 120; ++i)
      folder.write(fmt::format("in/books/{}/{:03}.txt", kind, i), fmt::format("{} {}", kind, i));
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 400));
  options.source = folder / "in/books";
  CHECK_FALSE(prepare(options, *tokenizer).resumed);
  options.out = folder / "once";
  prepare(options, *tokenizer);
  check_same_files(folder / "once", folder / "out");
  CHECK(TokenFile(folder / "out/test").domains() == std::vector<std::string>{"novels", "poems"});
}

TEST_CASE("a folder of many small files is not saved behind each of them") {
  const TemporaryFolder folder;
  for (int file = 0; file < 300; ++file)
    folder.write(fmt::format("in/{:03}.txt", file), fmt::format("small text number {}", file));
  std::set<std::filesystem::file_time_type> saved;
  const auto begin = std::chrono::steady_clock::now();
  prepare({.source = folder / "in",
           .out = folder / "out",
           .find_overlap = false,
           .progress =
               [&](const PrepareProgress&) {
                 const auto state = folder / "out/unfinished/state.json";
                 if (std::filesystem::exists(state))
                   saved.insert(std::filesystem::last_write_time(state));
               }},
          *tokenizer);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  CHECK(double(saved.size()) <= seconds / 5);
  CHECK(TokenFile(folder / "out/train").documents() > 250);
}

TEST_CASE("what was prepared does not stand for a source file that was changed") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 5));
  folder.write("in/train-0.jsonl", lines_of(7000, 31));
  CHECK_FALSE(prepare(options, *tokenizer).resumed);
  options.out = folder / "once";
  prepare(options, *tokenizer);
  check_same_files(folder / "once", folder / "out");
}

TEST_CASE("behind a bad line that was mended a preparation goes on") {
  const TemporaryFolder folder;
  write_own_split(folder);
  const std::string good = bytes_of(folder / "in/train-3.jsonl");
  folder.write("in/train-3.jsonl", good.substr(0, good.size() / 2 + 5));
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("train-3.jsonl:16"));
  folder.write("in/train-3.jsonl", good);
  CHECK(prepare(options, *tokenizer).resumed);
  options.out = folder / "once";
  prepare(options, *tokenizer);
  check_same_files(folder / "once", folder / "out");
}

TEST_CASE("with another tokenizer or other options a preparation begins anew") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 5));
  options.reader.longest_text = 1000;
  CHECK_FALSE(prepare(options, *tokenizer).resumed);
}

TEST_CASE("a preparation whose unfinished files were damaged is refused") {
  const TemporaryFolder folder;
  write_own_split(folder);
  const PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 5));
  std::string bytes = bytes_of(folder / "out/unfinished/train.bin");
  bytes[3] ^= 4;
  folder.write("out/unfinished/train.bin", bytes);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("train.bin") && Catch::Contains("to begin anew"));
}

TEST_CASE("a kept split that is nested a hundred thousand deep is found anew") {
  const TemporaryFolder folder;
  for (int file = 0; file < 4; ++file)
    folder.write(fmt::format("in/{}.jsonl", file), lines_of(100 * file, 90));
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 6));
  REQUIRE(std::filesystem::exists(folder / "out/unfinished/split.json"));
  const std::size_t deep = 100'000;
  folder.write("out/unfinished/split.json",
               "{\"key\":" + std::string(deep, '[') + std::string(deep, ']') + "}");
  prepare(options, *tokenizer);
  options.out = folder / "once";
  prepare(options, *tokenizer);
  check_same_files(folder / "once", folder / "out");
}

TEST_CASE("a preparation goes on in no file that is a link") {
  const TemporaryFolder folder;
  write_own_split(folder);
  const PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  REQUIRE(prepare_and_kill(options, 5));
  std::filesystem::rename(folder / "out/unfinished/train.bin", folder / "precious");
  std::filesystem::create_symlink(folder / "precious", folder / "out/unfinished/train.bin");
  const std::string before = bytes_of(folder / "precious");
  CHECK_THAT(error_of(ExitCode::io, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("train.bin") && Catch::Contains("symbolic link is not followed"));
  CHECK(bytes_of(folder / "precious") == before);
}

TEST_CASE("when the disk is full, what stood before still stands, and the next call goes on") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .shard_bytes = 1};
  prepare(options, *tokenizer);
  const std::string before = bytes_of(folder / "out/train.bin");
  folder.write("in/train-4.jsonl", lines_of(400, 300));
  const std::string message = error_of(ExitCode::io, [&] {
    const testing::FileSizeLimit limit(8000);
    prepare(options, *tokenizer);
  });
  CHECK_THAT(message, Catch::Contains("train.bin") && Catch::Contains("cannot write"));
  CHECK(bytes_of(folder / "out/train.bin") == before);
  prepare(options, *tokenizer);
  options.out = folder / "once";
  prepare(options, *tokenizer);
  check_same_files(folder / "once", folder / "out");
}

TEST_CASE("a preparation on a full disk names it, and goes on once there is room") {
  const TemporaryFolder folder;
  const testing::SmallDisk disk(folder / "disk", "16m");
  if (!disk.is_there()) {
    WARN("skipped: a full disk needs the right to mount one");
    return;
  }
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "once", .shard_bytes = 1};
  prepare(options, *tokenizer);
  options.out = folder / "disk/out";
  // Room for nothing at all, the lease, some files, the first state.
  const std::uintmax_t room = GENERATE(0, 4'096, 12'000, 40'000);
  CAPTURE(room);
  testing::fill_up(folder / "disk", room);
  CHECK_THAT(error_of(ExitCode::io, [&] { prepare(options, *tokenizer); }),
             Catch::Contains("No space left on device") && Catch::Contains("disk/out"));
  std::filesystem::remove(folder / "disk/ballast");
  prepare(options, *tokenizer);
  check_same_files(folder / "once", options.out);
}

TEST_CASE("a second process is kept out of a folder that one prepares in") {
  const TemporaryFolder folder;
  write_own_split(folder);
  PrepareOptions options{.source = folder / "in", .out = folder / "out", .find_overlap = false};
  std::string message;
  options.progress = [&](const PrepareProgress&) {
    PrepareOptions other = options;
    other.progress = nullptr;
    message = error_of(ExitCode::unavailable, [&] { prepare(other, *tokenizer); });
  };
  prepare(options, *tokenizer);
  CHECK_THAT(message, Catch::Contains("worked on by"));
  CHECK(TokenFile(folder / "out/train").documents() == 118);
}

}  // namespace
}  // namespace metascale
