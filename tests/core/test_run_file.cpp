#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "core/hdf5.hpp"
#include "core/journal.hpp"
#include "core/log_differences.hpp"
#include "core/run_file.hpp"
#include "core/run_file/columns.hpp"
#include "core/seal.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::vector<std::string> all_differences(const RunLog& a, const RunLog& b) {
  return log_differences(a, b, LogPart::everything);
}

std::string sample_bytes() {
  const TemporaryFolder folder;
  write_run_file(folder / "run.h5", sample_log());
  return read_bytes(folder / "run.h5");
}

std::string sealed(std::string bytes) {
  append_seal(bytes);
  return bytes;
}

// Reads a run file of these bytes; the message if it is refused, "" if its content is the sample's,
// "other content" otherwise.
std::string outcome(const TemporaryFolder& folder, const std::string& bytes) {
  write_bytes(folder / "run.h5", bytes);
  bool same = true;
  const std::string message = error_of(ExitCode::bad_input, [&] {
    same = all_differences(read_run_file(folder / "run.h5"), sample_log()).empty();
  });
  return same ? message : "other content";
}

}  // namespace

TEST_CASE("run.h5 gives back every row of the log, bit for bit") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  log.steps[1].loss = std::numeric_limits<double>::quiet_NaN();
  log.steps[2].gradient_norm = -std::numeric_limits<double>::infinity();
  log.steps[3].learning_rate = -0.0;
  log.steps[4].digest = std::numeric_limits<std::uint64_t>::max();
  write_run_file(folder / "run.h5", log);
  CHECK(all_differences(log, read_run_file(folder / "run.h5")).empty());
}

TEST_CASE(
    "a probe's rows come back from run.h5 and from the journal, and logs of texts have no place "
    "for "
    "them") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  write_run_file(folder / "run.h5", log);
  CHECK_FALSE(Hdf5Reader(folder / "run.h5").has_attribute("/", "probes"));
  log.evaluations[1].probes = {{16, 0, 0, 40, 40, 0.125, 40, 40}, {16, 1, 15, 600, 9, 1e3, 40, 0}};
  write_run_file(folder / "run.h5", log);
  const RunLog again = read_run_file(folder / "run.h5");
  CHECK(all_differences(log, again).empty());
  REQUIRE(again.evaluations[1].probes.size() == 2);
  CHECK(again.evaluations[1].probes[1].correct == 9);
  CHECK(again.evaluations[0].probes.empty());

  Journal journal(folder / "journal.jsonl");
  journal.header(log);
  journal.append(log.evaluations[1], "");
  journal.sync();
  const RunLog kept = read_journal(folder / "journal.jsonl");
  REQUIRE(kept.evaluations.size() == 1);
  REQUIRE(kept.evaluations[0].probes.size() == 2);
  CHECK(kept.evaluations[0].probes[1].nats == 1e3);
  CHECK(kept.evaluations[0].probes[1].last == 15);
}

TEST_CASE("a log without rows can be written and read") {
  const TemporaryFolder folder;
  RunLog log;
  log.run_id = "new";
  write_run_file(folder / "run.h5", log);
  CHECK(all_differences(log, read_run_file(folder / "run.h5")).empty());
}

TEST_CASE("equal logs give equal bytes") { CHECK(sample_bytes() == sample_bytes()); }

TEST_CASE("a configuration longer than an HDF5 attribute may be is kept") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  log.configuration = std::string(200000, 'c');
  log.facts["long"] = std::string(100000, 'f');
  log.events[0].message = std::string(100000, 'm');
  write_run_file(folder / "run.h5", log);
  CHECK(all_differences(log, read_run_file(folder / "run.h5")).empty());
}

TEST_CASE("each column of run.h5 has its unit, its description, and whether it is deterministic") {
  const TemporaryFolder folder;
  write_run_file(folder / "run.h5", sample_log());
  const Hdf5Reader file(folder / "run.h5");
  CHECK(file.attribute_string("/steps/loss", "unit") == "nat/token");
  CHECK(file.attribute_int("/steps/loss", "deterministic") == 1);
  CHECK(file.attribute_int("/steps/seconds", "deterministic") == 0);
  for (const char* group : {"/steps", "/evaluations", "/evaluations/domains",
                            "/evaluations/positions", "/evaluations/segments", "/events"})
    for (const std::string& column : file.datasets(group))
      CHECK(file.has_attribute(group + ("/" + column), "description"));
}

TEST_CASE("a log of 20,000 steps takes less than 60 bytes a row") {
  const TemporaryFolder folder;
  RunLog log = sample_log(20000);
  write_run_file(folder / "run.h5", log);
  CHECK(std::filesystem::file_size(folder / "run.h5") < 60 * 20000);
  CHECK(all_differences(log, read_run_file(folder / "run.h5")).empty());
}

// 10^7 steps are the 300 billion tokens of a run of batches of 30,000; the journal is read in
// bounded pieces, and what both take is of the order of the rows themselves (80 bytes each).
TEST_CASE("a log of ten million steps is written and read back, by its journal and by run.h5",
          "[.slow]") {
  const TemporaryFolder folder;
  const std::int64_t steps = 10'000'000;
  const RunLog log = sample_log(steps);
  {
    Journal journal(folder / "journal.jsonl");
    journal.header(log);
    for (const StepRow& row : log.steps) journal.append(row);
  }
  const auto same_steps = [&](const RunLog& other) {
    return std::int64_t(other.steps.size()) == steps &&
           std::equal(log.steps.begin(), log.steps.end(), other.steps.begin(),
                      [](const StepRow& a, const StepRow& b) {
                        return a.step == b.step && a.loss == b.loss && a.digest == b.digest &&
                               a.tokens == b.tokens && a.gradient_norm == b.gradient_norm;
                      });
  };
  CHECK(same_steps(read_journal(folder / "journal.jsonl")));
  write_run_file(folder / "run.h5", log);
  CHECK(same_steps(read_run_file(folder / "run.h5")));
}

TEST_CASE("every truncation of run.h5 is an Error") {
  const TemporaryFolder folder;
  const std::string bytes = sample_bytes();
  for (std::size_t size = 1; size < bytes.size(); size += size < 2100 ? 13 : 331)
    REQUIRE_THAT(outcome(folder, bytes.substr(0, size)), Catch::Contains("run.h5: "));
  for (std::size_t cut = 1; cut <= seal_bytes; ++cut)
    REQUIRE_THAT(outcome(folder, bytes.substr(0, bytes.size() - cut)), Catch::Contains("seal"));
}

TEST_CASE("a flipped byte of run.h5 is found") {
  const TemporaryFolder folder;
  const std::string bytes = sample_bytes();
  std::mt19937 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    std::string damaged = bytes;
    damaged[random() % (bytes.size() - seal_bytes)] ^= char(1 << random() % 8);
    REQUIRE_THAT(outcome(folder, damaged), Catch::Contains("the digest at its end differs"));
  }
}

TEST_CASE("a flipped byte in the seal is found") {
  const TemporaryFolder folder;
  const std::string bytes = sample_bytes();
  for (std::size_t at = bytes.size() - seal_bytes; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 4;
    REQUIRE_THAT(outcome(folder, damaged), Catch::Contains("run.h5: "));
  }
}

TEST_CASE("foreign files are refused with what they lack") {
  const TemporaryFolder folder;
  CHECK_THAT(outcome(folder, "no HDF5 at all"), Catch::Contains("this is no HDF5 file"));
  CHECK_THAT(outcome(folder, ""), Catch::Contains("this is no HDF5 file"));
  CHECK_THAT(outcome(folder, sealed("no HDF5 at all")), Catch::Contains("not a whole HDF5 file"));
  Hdf5Writer writer("foreign");
  writer.write("/x", std::vector<double>{1});
  CHECK_THAT(outcome(folder, sealed(writer.finish())), Catch::Contains("not the log of a run"));
}

TEST_CASE("a missing run.h5 is an io error") {
  CHECK_THAT(error_of(ExitCode::io, [] { read_run_file("/no/such/run.h5"); }),
             Catch::Contains("/no/such/run.h5") && Catch::Contains("No such file"));
}

TEST_CASE("logs of another schema and logs that contradict themselves are refused") {
  const TemporaryFolder folder;
  const auto refusal = [&](const RunLog& log) {
    write_run_file(folder / "run.h5", log);
    return error_of(ExitCode::bad_input, [&] { read_run_file(folder / "run.h5"); });
  };
  RunLog newer = sample_log(), twice = sample_log(), stray = sample_log();
  newer.schema = 2;
  twice.steps[3].step = 3;
  stray.evaluations[1].segments[0].domain = 2;
  CHECK_THAT(refusal(newer),
             Catch::Contains("schema 2") && Catch::Contains("metascale that wrote it"));
  CHECK_THAT(refusal(twice), Catch::Contains("/steps/step is 3 in row 3"));
  CHECK_THAT(refusal(stray), Catch::Contains("segments/domain is 2"));
}

TEST_CASE("columns of unequal length are refused") {
  const TemporaryFolder folder;
  Hdf5Writer file("run.h5");
  file.attribute("/", "schema", std::int64_t(1));
  file.attribute("/", "run_id", std::string("x"));
  file.write_string("/configuration", "");
  for (const char* group : {"/facts", "/environment", "/steps"}) file.create_group(group);
  file.write("/steps/step", std::vector<std::int64_t>{1, 2});
  file.write("/steps/tokens", std::vector<std::int64_t>{1});
  CHECK_THAT(outcome(folder, sealed(file.finish())),
             Catch::Contains("/steps/tokens has 1 rows, but the columns beside it have 2"));
}

TEST_CASE("a reader sees a whole log while it is being rewritten") {
  const TemporaryFolder folder;
  const auto path = folder / "run.h5";
  write_run_file(path, sample_log(1));
  std::atomic<int> reads = 0, steps = 1;  // each goes on until the other has done some
  std::thread writer([&] {
    for (; steps < 15 || reads < 15; ++steps) write_run_file(path, sample_log(steps));
  });
  bool whole = true;
  std::size_t rows = 0;
  for (; reads < 15 || steps < 15; ++reads) {
    const RunLog log = read_run_file(path);
    whole = whole && log.steps.size() >= rows && log.events.back().step == log.steps.back().step;
    rows = log.steps.size();
  }
  writer.join();
  CHECK(whole);
}

TEST_CASE("differences between logs name row, column and both values") {
  RunLog a = sample_log(), b = sample_log();
  b.steps[2].loss = 2.5;
  b.steps[2].seconds = 99;
  b.events.pop_back();
  CHECK(log_differences(a, b, LogPart::deterministic) ==
        std::vector<std::string>{"steps[2].loss: 2.75 and 2.5"});
  CHECK(log_differences(a, b, LogPart::everything).size() == 3);
}

TEST_CASE("docs/log-schema.md names every column with its unit") {
  const std::string text = read_bytes(METASCALE_SOURCE "/docs/log-schema.md");
  const auto check = [&](const std::string& group, const auto& columns) {
    const std::size_t section = text.find("## `" + group + "`");
    REQUIRE(section != std::string::npos);
    const std::string part = text.substr(section, text.find("\n## ", section + 1) - section);
    for_each_column(columns, [&](const auto& column) {
      CAPTURE(group, column.name);
      CHECK_THAT(part, Catch::Contains(std::string("| `") + column.name + "` |"));
      const std::size_t begin = part.find(std::string("| `") + column.name + "` |");
      const std::string row = part.substr(begin, part.find('\n', begin) - begin);
      CHECK_THAT(row,
                 Catch::Contains(std::string("| ") + (*column.unit ? column.unit : "-") + " |"));
      CHECK_THAT(row, Catch::Contains(column.deterministic ? "| yes |" : "| no |"));
    });
  };
  check("/steps", step_columns);
  check("/evaluations", evaluation_columns);
  check("/evaluations/domains", domain_columns);
  check("/evaluations/positions", position_columns);
  check("/evaluations/segments", segment_columns);
  check("/evaluations/probes", probe_columns);
  check("/events", event_columns);
}
