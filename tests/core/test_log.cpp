#include <catch2/catch.hpp>

#include "core/build_info.hpp"
#include "core/log.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

TEST_CASE("the log file gets every message, with its level and braces untouched") {
  const TemporaryFolder folder;
  start_logging({.level = LogLevel::error, .file = folder / "out.log"});
  log_message(LogLevel::debug, "a detail");
  log_warning("step {} is slow");
  stop_logging();
  const std::string text = read_bytes(folder / "out.log");
  CHECK_THAT(text,
             Catch::Contains("debug: a detail\n") && Catch::Contains("warning: step {} is slow\n"));
  start_logging({});
}

TEST_CASE("a log file that cannot be opened is an io error with its path") {
  const TemporaryFolder folder;
  write_bytes(folder / "file", "");
  CHECK_THAT(error_of(ExitCode::io, [&] { start_logging({.file = folder / "file/out.log"}); }),
             Catch::Contains("file/out.log"));
}

TEST_CASE("the program knows what it was built from") {
  const auto info = build_info();
  for (const char* name : {"version", "commit", "compiler", "build_type", "hdf5", "yaml-cpp",
                           "nlohmann_json", "fmt", "spdlog", "xxhash"}) {
    CAPTURE(name);
    REQUIRE(info.contains(name));
    CHECK_FALSE(info.at(name).empty());
  }
  CHECK_THAT(info.at("hdf5"), Catch::Matches("1\\.[0-9]+\\.[0-9]+"));
}
