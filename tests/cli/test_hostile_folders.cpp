// Run folders that somebody else made: what they hold can neither make us write outside of them nor
// keep us for ever; and the modes of what we write ourselves.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "core/atomic_file.hpp"
#include "tests/cli/outside.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/tiny_sweep.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::Precious, testing::RunsFolder;

constexpr std::chrono::seconds soon(30);

TEST_CASE("a journal that is a link to another file is refused, and that file left as it is") {
  const RunsFolder runs;
  // Each of them would be taken for the torn first line of a journal, and be cut.
  const Precious precious(runs.path(), GENERATE("", "the only copy", "the only copy\n"));
  const fs::path folder = runs.write(runs.config("run"));
  fs::create_symlink(precious.path(), folder / "journal.jsonl");
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  CHECK(ended.code == int(ExitCode::io));
  CHECK_THAT(ended.text, Contains("journal.jsonl") && Contains("a symbolic link is not followed"));
  CHECK(precious.is_untouched());
}

TEST_CASE("checkpoints that are a link to another folder are not written, and its files stay") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run")), other = runs.path() / "other";
  fs::create_directories(other / "step-0000000001");
  fs::create_directory_symlink(other, folder / "checkpoints");
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("checkpoints: is a symbolic link"));
  CHECK(fs::is_directory(other / "step-0000000001"));
  CHECK(std::distance(fs::directory_iterator(other), {}) == 1);
}

TEST_CASE("what a run writes replaces a link, and leaves the file that it led to as it is") {
  const RunsFolder runs;
  const Precious precious(runs.path(), "the only copy");
  const fs::path folder = runs.write(runs.config("run"));
  for (const char* name : {"state.json", "run.h5", "FAILED"})
    fs::create_symlink(precious.path(), folder / name);
  const Ended ended = call_program(runs.path(), {"train", folder.string()});
  INFO(ended.text);
  CHECK(ended.code == 0);
  CHECK(precious.is_untouched());
  for (const char* name : {"state.json", "run.h5"})
    CHECK(fs::symlink_status(folder / name).type() == fs::file_type::regular);
  CHECK_FALSE(fs::exists(fs::symlink_status(folder / "FAILED")));
}

TEST_CASE("a FIFO in the place of a run's file keeps nobody waiting") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  const auto train_beside = [&](const char* name) {
    REQUIRE(::mkfifo((folder / name).c_str(), 0666) == 0);
    return call_program(runs.path(), {"train", folder.string()}, soon);
  };
  const auto clear = [&](const char* name) {
    for (const char* each : {name, "FAILED"}) fs::remove(folder / each);
  };
  CHECK_THAT(train_beside("journal.jsonl").text, Contains("journal.jsonl: cannot"));
  clear("journal.jsonl");
  for (const char* name : {"run.h5", "state.json"}) {
    fs::remove(folder / name);  // of the attempt before
    const Ended ended = train_beside(name);
    CHECK(ended.code == int(ExitCode::io));
    CHECK_THAT(ended.text, Contains(std::string(name) + ": is a device, a FIFO or an open file"));
    CHECK(fs::is_fifo(folder / name));
    clear(name);
  }
  CHECK_THAT(train_beside("lease.json").text, Contains("lease.json: this is not a regular file"));
  clear("lease.json");
  fs::remove(folder / "config.yaml");
  CHECK(train_beside("config.yaml").code == 2);
}

TEST_CASE("token files that are no files are refused at once") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run")), bin = runs.tokens("train.bin");
  fs::remove(bin);
  if (GENERATE(true, false))
    REQUIRE(::mkfifo(bin.c_str(), 0666) == 0);
  else
    fs::create_symlink("/dev/zero", bin);
  const Ended ended = call_program(runs.path(), {"train", folder.string()}, soon);
  CHECK(ended.code == int(ExitCode::bad_input));
  CHECK_THAT(ended.text, Contains("train.bin"));
}

// ---- what we write ourselves

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

// Files below the folder whose mode is another than that of a plain open(2) or mkdir(2).
std::vector<std::string> with_other_modes(const fs::path& folder, mode_t mask) {
  std::vector<std::string> found;
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    struct stat status {};
    REQUIRE(::lstat(entry.path().c_str(), &status) == 0);
    const mode_t plain = entry.is_directory() ? 0777 : 0666;
    if ((status.st_mode & 07777) != (plain & ~mask)) found.push_back(entry.path().string());
    files += entry.is_regular_file();
  }
  CHECK(files > 0);
  return found;
}

TEST_CASE("every file has the mode that the umask leaves, and none can be executed") {
  const mode_t mask = GENERATE(as<mode_t>(), 0022, 0077);
  const RunsFolder runs;
  const std::string sweep =
      write_tiny_sweep(runs, {.lines = "analysis: {bootstrap: 100}\n"}).string();
  const fs::path results = runs.path() / "results", tokens = runs.path() / "again";
  const Umask umask(mask);
  const auto good = [&](const testing::Words& words) {
    const Ended ended = call_program(runs.path(), words);
    INFO(ended.text);
    REQUIRE(ended.code == 0);
  };
  good({"data", "prepare", (runs.path() / "text").string(), "--out", tokens.string()});
  good({"run", sweep, "--results", results.string(), "--no-report"});
  good({"report", (results / "tiny").string(), "--no-figures"});
  CHECK(with_other_modes(tokens, mask) == std::vector<std::string>{});
  CHECK(with_other_modes(results, mask) == std::vector<std::string>{});
}

}  // namespace
}  // namespace metascale
