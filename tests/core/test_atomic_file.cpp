#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "core/atomic_file.hpp"
#include "tests/core/samples.hpp"
#include "tests/support/file_size_limit.hpp"

using namespace metascale;

namespace {

std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) count += entry.exists();
  return count;
}

}  // namespace

TEST_CASE("an atomic write replaces the whole file and leaves nothing beside it") {
  const TemporaryFolder folder;
  const auto path = folder / "state.json";
  write_file_atomically(path, "a longer first version");
  write_file_atomically(path, std::string_view("b\0c", 3));
  CHECK(read_file(path) == std::string("b\0c", 3));
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a failed atomic write keeps the old file, and says what to do") {
  const TemporaryFolder folder;
  const auto path = folder / "run.h5";
  write_file_atomically(path, "old");
  std::string message;
  {
    const testing::FileSizeLimit limit(1000);
    message = error_of(ExitCode::io, [&] { write_file_atomically(path, std::string(5000, 'x')); });
  }
  CHECK_THAT(message, Catch::Contains("run.h5.unfinished-") && Catch::Contains("cannot write") &&
                          Catch::Contains("File too large") && Catch::Contains("ulimit -f"));
  CHECK(read_file(path) == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("a missing folder is an io error that names the path") {
  const TemporaryFolder folder;
  const std::string message =
      error_of(ExitCode::io, [&] { write_file_atomically(folder / "no/such", "x"); });
  CHECK_THAT(message, Catch::Contains("no/such") && Catch::Contains("No such file or directory") &&
                          Catch::Contains("its folder must exist"));
}

TEST_CASE("a reader never sees half of a file that is being replaced") {
  const TemporaryFolder folder;
  const auto path = folder / "state.json";
  write_file_atomically(path, std::string(100000, 'a'));
  std::atomic<int> reads = 0, writes = 0;  // each goes on until the other has done some
  std::thread writer([&] {
    for (; writes < 50 || reads < 50; ++writes)
      write_file_atomically(path, std::string(100000, char('a' + writes % 26)));
  });
  bool whole = true;
  for (; reads < 50 || writes < 50; ++reads) {
    const std::string bytes = read_file(path);
    whole = whole && bytes == std::string(100000, bytes.at(0));
  }
  writer.join();
  CHECK(whole);
}

TEST_CASE("a file larger than the cap is refused before it is read") {
  const TemporaryFolder folder;
  write_bytes(folder / "big", std::string(2000, 'x'));
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder / "big", 1999); }),
             Catch::Contains("2000 bytes") && Catch::Contains("at most 1999"));
  CHECK(read_file(folder / "big", 2000).size() == 2000);
}

TEST_CASE("what is no regular file is refused") {
  const TemporaryFolder folder;
  REQUIRE(mkdir((folder / "folder").c_str(), 0777) == 0);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read_file(folder / "folder"); }),
             Catch::Contains("not a regular file"));
}

TEST_CASE("leftovers of killed writers are removed, and nothing else") {
  const TemporaryFolder folder;
  write_bytes(folder / "run.h5", "good");
  write_bytes(folder / "run.h5.unfinished-12-0", "half");
  remove_unfinished_files(folder.path());
  CHECK(files_in(folder.path()) == 1);
  CHECK(read_file(folder / "run.h5") == "good");
}
