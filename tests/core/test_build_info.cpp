// The commit that a build names: core/commit.cmake, run as the build runs it.
#include <catch2/catch.hpp>
#include <fstream>

#include "core/atomic_file.hpp"
#include "core/build_info.hpp"
#include "core/command.hpp"
#include "tests/support/temporary_folder.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using testing::TemporaryFolder;

// A folder of sources, and the header that the script makes for it.
struct Sources {
  TemporaryFolder folder;
  fs::path source = folder / "source", header = folder / "build/commit.hpp";

  Sources() {
    fs::create_directories(source);
    write("CMakeLists.txt", "project(x)\n");
  }
  void write(const char* name, const char* text) const { std::ofstream(source / name) << text; }
  std::string git(std::vector<std::string> words) const {
    words.insert(words.begin(), {"git", "-c", "user.name=a", "-c", "user.email=a@b", "-c",
                                 "commit.gpgsign=false", "-C", source.string()});
    const CommandResult result = run_command(words);
    INFO(result.complaint());
    REQUIRE(result.good());
    return result.output;
  }
  void commit() const {
    git({"init", "--quiet"});
    git({"add", "CMakeLists.txt"});
    git({"commit", "--quiet", "--no-verify", "-m", "first"});
  }
  // What stands in the header between the quotation marks.
  std::string commit_of_build() const {
    const CommandResult result =
        run_command({METASCALE_CMAKE, "-DSOURCE=" + source.string(), "-DHEADER=" + header.string(),
                     "-P", METASCALE_SOURCE "/core/commit.cmake"});
    INFO(result.complaint());
    REQUIRE(result.good());
    const std::string text = read_file(header);
    const std::size_t begin = text.find('"') + 1;
    return text.substr(begin, text.find('"', begin) - begin);
  }
};

bool has_git() { return run_command({"git", "--version"}).good(); }

TEST_CASE("a build names its commit, and marks a tree that differs from it") {
  if (!has_git()) {
    WARN("skipped: there is no git");
    return;
  }
  const Sources sources;
  sources.commit();
  std::string commit = sources.git({"rev-parse", "--short=12", "HEAD"});
  commit.pop_back();
  CHECK(commit.size() >= 12);
  CHECK(sources.commit_of_build() == commit);
  sources.write("notes.txt", "of no commit, and of no build\n");
  CHECK(sources.commit_of_build() == commit);
  sources.write("CMakeLists.txt", "project(y)\n");
  CHECK(sources.commit_of_build() == commit + "+changes");
  sources.git({"commit", "--quiet", "--no-verify", "-am", "second"});
  const std::string second = sources.commit_of_build();
  CHECK(second != commit);
  CHECK_THAT(second, !Contains("+"));
}

TEST_CASE("a header that names the commit already is left alone: nothing is compiled anew") {
  const Sources sources;
  sources.commit_of_build();
  const auto long_ago = fs::last_write_time(sources.header) - std::chrono::hours(1);
  fs::last_write_time(sources.header, long_ago);
  sources.commit_of_build();
  CHECK(fs::last_write_time(sources.header) == long_ago);
}

TEST_CASE("sources of no checkout are of an unknown commit, also inside of somebody's checkout") {
  const Sources sources;
  CHECK(sources.commit_of_build() == "unknown");
  if (!has_git()) return;
  Sources outer;
  outer.commit();
  outer.source = outer.folder / "source/unpacked";
  fs::create_directories(outer.source);
  outer.write("CMakeLists.txt", "project(z)\n");
  CHECK(outer.commit_of_build() == "unknown");
}

TEST_CASE("the program knows its commit") {
  CHECK_THAT(build_info().at("commit"), Catch::Matches("([0-9a-f]{12,40}(\\+changes)?)|unknown"));
}

}  // namespace
}  // namespace metascale
