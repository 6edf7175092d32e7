// A process that lost its run while it stood still (its machine was suspended, it was stopped) and
// goes on: what the new holder wrote must stay.
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/atomic_file.hpp"
#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "core/run_lease.hpp"
#include "tests/experiments/trained.hpp"
#include "tests/support/files.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of, testing::error_of, testing::expect_equal_bits, testing::outcome_of,
    testing::RunsFolder, testing::trained;

// As another machine sees the lease of a process that stands still: whether it lives is not known,
// and it has not been renewed for an hour.
void make_lease_old(const fs::path& folder) {
  const fs::path path = folder / "lease.json";
  auto lease = nlohmann::json::parse(bytes_of(path));
  lease["host"] = "elsewhere";
  write_file_atomically(path, lease.dump());
  fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
}

std::map<std::string, std::string> files_in(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = bytes_of(entry.path());
  return files;
}

TEST_CASE("a process that stood still while another finished its run stops and writes nothing") {
  const RunsFolder runs;
  const auto undisturbed = trained(runs, runs.config("undisturbed"));
  const fs::path folder = runs.write(runs.config("taken"));
  const std::int64_t step = GENERATE(5, 6, 12, 24);  // 6, 12: a checkpoint is next; 24: the end
  CAPTURE(step);
  std::map<std::string, std::string> files;
  StepRow last;
  TrainHooks hooks;
  hooks.renewal_seconds = 0;  // it stood still for longer than that
  hooks.on_step = [&](const StepRow& row) {
    last = row;
    if (row.step != step) return;
    make_lease_old(folder);
    REQUIRE(train(folder, {}) == ExitCode::good);
    files = files_in(folder);
  };
  CHECK_THAT(error_of(ExitCode::unavailable, [&] { train(folder, hooks); }),
             Catch::Contains("another process has taken this run over"));
  CHECK(last.step == step);
  CHECK(files.contains((folder / "DONE").string()));
  CHECK((files_in(folder) == files));
  expect_equal_bits(undisturbed, outcome_of(folder));

  // It looked at its lease just before it was stopped, and appends one row.
  ++last.step;
  Journal(folder / "journal.jsonl").append(last);
  const RunLog log = read_run_folder(folder);
  CHECK(log_differences(undisturbed.log, log, LogPart::deterministic) ==
        std::vector<std::string>{});
  CHECK_FALSE(repair_run_folder(folder));
  CHECK(log.steps.back().attempt == 2);
}

TEST_CASE("a process that lost its run and then fails for another reason leaves no FAILED there") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("taken"));
  std::optional<RunLease> other;
  TrainHooks hooks;
  hooks.renewal_seconds = 3600;  // it does not look
  hooks.on_step = [&](const StepRow& row) {
    if (row.step != 5) return;
    make_lease_old(folder);
    other.emplace(folder);
    throw Error("the disk is full", ExitCode::io);
  };
  CHECK_THAT(error_of(ExitCode::io, [&] { train(folder, hooks); }),
             Catch::Contains("the disk is full"));
  CHECK_FALSE(fs::exists(folder / "FAILED"));
  CHECK(fs::exists(folder / "lease.json"));

  other.reset();
  hooks.on_step = [](const StepRow&) { throw Error("the disk is full", ExitCode::io); };
  CHECK_THAT(error_of(ExitCode::io, [&] { train(folder, hooks); }),
             Catch::Contains("the disk is full"));
  CHECK(bytes_of(folder / "FAILED") == "the disk is full\n");
}

TEST_CASE("an attempt has a number that no row of the journal has, also where it left no event") {
  const RunsFolder runs;
  const fs::path folder = runs.write(runs.config("run"));
  struct Vanished {};
  TrainHooks hooks;
  hooks.on_step = [](const StepRow& row) {
    if (row.step == 8) throw Vanished{};
  };
  CHECK_THROWS_AS(train(folder, hooks), Vanished);
  Journal(folder / "journal.jsonl").resume(6, 41);  // it was killed before it said that it started
  REQUIRE(train(folder, {}) == ExitCode::good);
  const RunLog log = read_journal(folder / "journal.jsonl");
  CHECK(log.steps.size() == 24);
  CHECK(log.steps.back().attempt == 42);

  fs::remove(folder / "DONE");
  Journal(folder / "journal.jsonl").resume(24, std::numeric_limits<std::int32_t>::max());
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { train(folder, {}); }),
             Catch::Contains("attempt 2147483647, after which none can come"));
}

}  // namespace
}  // namespace metascale
