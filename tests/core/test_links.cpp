// Links are followed where people name a file, and refused in what a run keeps.
#include <catch2/catch.hpp>

#include "core/atomic_file.hpp"
#include "core/heartbeat.hpp"
#include "core/journal.hpp"
#include "core/safetensors.hpp"
#include "tests/core/samples.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;

const auto is_not_followed = Contains(
    "link: cannot open: Too many levels of symbolic links; a symbolic link is not followed here");

TEST_CASE("a file is read through a link unless that is refused") {
  const TemporaryFolder folder;
  fs::create_symlink(folder.write("file", "text"), folder / "link");
  CHECK(read_file(folder / "link") == "text");
  CHECK(read_file(folder / "file", 4, Links::refuse) == "text");
  CHECK_THAT(error_of(ExitCode::io, [&] { read_file(folder / "link", 4, Links::refuse); }),
             is_not_followed);
  write_safetensors(folder / "file", {}, {});
  CHECK_NOTHROW(SafetensorsFile(folder / "link"));
  CHECK_THAT(error_of(ExitCode::io, [&] { SafetensorsFile(folder / "link", Links::refuse); }),
             is_not_followed);
}

TEST_CASE("a log that is a link is not read") {
  const TemporaryFolder folder;
  write_run_file(folder / "run.h5", sample_log());
  fs::create_symlink(folder / "run.h5", folder / "link");
  CHECK_THAT(error_of(ExitCode::io, [&] { read_run_file(folder / "link"); }), is_not_followed);
  Journal(folder / "journal").header(sample_log());
  REQUIRE_NOTHROW(read_journal(folder / "journal"));
  fs::remove(folder / "link");
  fs::create_symlink(folder / "journal", folder / "link");
  CHECK_THAT(error_of(ExitCode::io, [&] { read_journal(folder / "link"); }), is_not_followed);
}

TEST_CASE("a state or a mark that is a link says nothing") {
  const TemporaryFolder folder, other;
  write_heartbeat(folder.path(), {.phase = RunPhase::running, .message = "words"});
  CHECK(read_heartbeat(folder.path())->message == "words");
  fs::create_symlink(folder / "state.json", other / "state.json");
  CHECK_FALSE(read_heartbeat(other.path()));
  fs::create_symlink(folder.write("FAILED", "words\n"), other / "FAILED");
  CHECK(read_reason(folder / "FAILED") == "words");
  CHECK(read_reason(other / "FAILED").empty());
}

TEST_CASE("a folder of ours is made with those above it, and never a link") {
  const TemporaryFolder folder;
  make_own_folder(folder / "a/b");
  CHECK_NOTHROW(make_own_folder(folder / "a/b"));
  fs::create_directory_symlink(folder / "a", folder / "link");
  CHECK_NOTHROW(make_own_folder(folder / "link/c"));  // what is above may be one
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { make_own_folder(folder / "link"); }),
             Contains("link: is a symbolic link"));
  fs::create_directory_symlink("nowhere", folder / "dangling");
  error_of(ExitCode::bad_input, [&] { make_own_folder(folder / "dangling"); });
  CHECK_THAT(error_of(ExitCode::io, [&] { make_own_folder(folder.write("file", "") / "d"); }),
             Contains("file/d: cannot create the folder"));
}

TEST_CASE("a state with a time, a rate or an energy that no run has says nothing") {
  const TemporaryFolder folder;
  const Heartbeat good{.tokens_per_second = 1e6, .time = 1.7e9, .joules = 5e9};
  const auto is_read = [&](const Heartbeat& heartbeat) {
    write_heartbeat(folder.path(), heartbeat);
    return read_heartbeat(folder.path()).has_value();
  };
  CHECK(is_read(good));
  CHECK(is_read({}));  // one that says nothing yet
  for (const double value : {-1.0, 1e300}) {
    Heartbeat time = good, rate = good, energy = good;
    time.time = rate.tokens_per_second = value;
    energy.joules = value;
    CHECK_FALSE(is_read(time));
    CHECK_FALSE(is_read(rate));
    CHECK_FALSE(is_read(energy));
  }
}

}  // namespace
}  // namespace metascale
