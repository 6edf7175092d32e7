// Where verbs write: not in the place of devices, FIFOs and open files, nor into folders with
// something in them.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "core/atomic_file.hpp"
#include "tests/cli/program.hpp"
#include "tests/cli/trained.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::call_program, testing::Ended, testing::RunsFolder, testing::trained, testing::Words;

// A FIFO, as a device is no file but can be made by anybody; or what /dev/stdout is.
void make_special(const fs::path& path, bool is_fifo) {
  if (is_fifo)
    REQUIRE(::mkfifo(path.c_str(), 0666) == 0);
  else
    fs::create_symlink("/proc/self/fd/1", path);
}

TEST_CASE("no verb puts a file in the place of a FIFO or of an open file") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::transformer, 2, 2),
                 out = runs.path() / "places/out.bin";
  const bool is_fifo = GENERATE(true, false);
  fs::create_directory(out.parent_path());
  make_special(out, is_fifo);
  for (const auto& [words, code] : std::vector<std::pair<Words, ExitCode>>{
           {{"generate", run, "--tokens", "1", "--save-state", out}, ExitCode::usage},
           {{"eval", run, "--data", runs.tokens("test"), "--out", out}, ExitCode::usage},
           {{"data", "convert", runs.tokens("test"), "--format", "uint16", "--out", out},
            ExitCode::io}}) {
    CAPTURE(words);
    const Ended ended = call_program(runs.path(), words);
    INFO(ended.text);
    CHECK(ended.code == int(code));
    CHECK_THAT(ended.text, Contains("out.bin: is a device, a FIFO or an open file") &&
                               Contains("name another file"));
    CHECK((is_fifo ? fs::is_fifo(out) : fs::is_symlink(out)));
    CHECK(std::distance(fs::directory_iterator(out.parent_path()), {}) == 1);
  }
}

TEST_CASE("a state is not generated for where a folder is in the place of its file") {
  const RunsFolder runs;
  const Ended ended =
      call_program(runs.path(), {"generate", "no-run", "--save-state", runs.path()});
  CHECK(ended.code == int(ExitCode::usage));
  CHECK_THAT(ended.text, Contains("--save-state") && Contains("this is a folder"));
}

TEST_CASE("import, grow and export write to a folder that is empty or not there, and to no other") {
  const RunsFolder runs;
  const fs::path run = trained(runs, Architecture::transformer, 2, 2),
                 model = runs.path() / "exported", used = runs.path() / "results",
                 empty = runs.path() / "empty", file = runs.path() / "file";
  REQUIRE(call_program(runs.path(), {"export", run, "-o", model}).code == 0);
  fs::create_directories(used / "tiny");
  std::ofstream(file) << "the only copy";
  const std::vector<Words> verbs{
      {"import", model}, {"grow", run, "--layers", "3", "--steps", "4"}, {"export", run}};
  for (const Words& verb : verbs) {
    const auto into = [&](const fs::path& out) {
      Words words = verb;
      words.insert(words.end(), {"-o", out});
      return call_program(runs.path(), words);
    };
    CAPTURE(verb);
    for (const auto& [out, what] : {std::pair(used, "this folder is not empty"),
                                    {model, "this folder is not empty"},
                                    {fs::path(), "an empty path names no folder"},
                                    {file, "this is no folder"},
                                    {run, "a run is there already"}}) {
      const Ended ended = into(out);
      INFO(ended.text);
      CHECK(ended.code == int(ExitCode::usage));
      CHECK_THAT(ended.text, Contains(what));
    }
    CHECK(std::distance(fs::directory_iterator(used), {}) == 1);
    CHECK(read_file(file) == "the only copy");
    fs::create_directory(empty);
    CHECK(into(empty).code == 0);
    fs::remove_all(empty);
  }
}

}  // namespace
}  // namespace metascale
