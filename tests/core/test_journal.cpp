#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "core/hdf5.hpp"
#include "core/journal.hpp"
#include "core/journal/lines.hpp"
#include "core/journal/rows.hpp"
#include "core/log_differences.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::vector<std::string> all_differences(const RunLog& a, const RunLog& b) {
  return log_differences(a, b, LogPart::everything);
}

// Writes the log as a run does: its rows in the order of their steps.
void write_journal(const std::filesystem::path& folder, const RunLog& log) {
  Journal journal(folder / "journal.jsonl");
  journal.header(log);
  journal.append(log.events.front());
  for (const StepRow& row : log.steps) journal.append(row);
  for (const Evaluation& evaluation : log.evaluations) {
    std::string file;
    if (!evaluation.segments.empty()) {
      file = concat("evaluations/", evaluation.split, "-step-", evaluation.step, ".bin");
      write_segments(folder / file, evaluation);
    }
    journal.append(evaluation, file);
  }
  for (std::size_t i = 1; i < log.events.size(); ++i) journal.append(log.events[i]);
}

std::string refusal(const std::filesystem::path& path) {
  return error_of(ExitCode::bad_input, [&] { read_journal(path); });
}

std::size_t lines_in(const std::string& bytes) {
  return std::size_t(std::count(bytes.begin(), bytes.end(), '\n'));
}

}  // namespace

TEST_CASE("a journal gives back every row, bit for bit") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  log.steps[1].loss = std::numeric_limits<double>::quiet_NaN();
  log.steps[2].loss = -std::numeric_limits<double>::infinity();
  log.steps[3].learning_rate = 5e-324;
  log.steps[4].flops = 1.0 / 3.0 * 1e300;
  write_journal(folder.path(), log);
  CHECK(all_differences(log, read_journal(folder / "journal.jsonl")).empty());
}

TEST_CASE("each line of a journal is JSON that ends with its CRC") {
  const TemporaryFolder folder;
  write_journal(folder.path(), sample_log());
  std::ifstream file(folder / "journal.jsonl");
  std::string line;
  std::size_t lines = 0;
  for (; std::getline(file, line); ++lines) {
    const nlohmann::json row = nlohmann::json::parse(line);
    CHECK(row.contains("row"));
    CHECK(line.substr(line.size() - 18, 8) == ",\"crc\":\"");
  }
  CHECK(lines == 1 + 5 + 2 + 2);  // header, steps, evaluations, events
}

TEST_CASE("text that is not UTF-8 does not lose the row") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  log.events[0].message = "broken \xff text";
  write_journal(folder.path(), log);
  CHECK_THAT(read_journal(folder / "journal.jsonl").events[0].message,
             Catch::StartsWith("broken ") && Catch::EndsWith(" text"));
}

TEST_CASE(
    "every truncation of a journal reads as the rows that are whole, and can be appended to") {
  const TemporaryFolder folder;
  RunLog small = sample_log(2);
  small.evaluations.pop_back();
  write_journal(folder.path(), small);
  const std::string bytes = read_bytes(folder / "journal.jsonl");
  const std::size_t header = bytes.find('\n') + 1;
  for (std::size_t size = header; size <= bytes.size(); ++size) {
    const bool is_near_line_end = bytes.find('\n', size - 2) <= size + 1;
    if (size % 4 != 0 && !is_near_line_end) continue;
    const auto cut = folder / "cut.jsonl";
    write_bytes(cut, bytes.substr(0, size));
    const std::size_t whole = lines_in(bytes.substr(0, size));
    const RunLog log = read_journal(cut);
    REQUIRE(1 + log.steps.size() + log.evaluations.size() + log.events.size() == whole);
    Journal(cut).append(Event{.kind = "resume"});
    REQUIRE(read_journal(cut).events.back().kind == "resume");
    REQUIRE(lines_in(read_bytes(cut)) == whole + 1);
  }
}

TEST_CASE("a journal without its header is refused, but can be begun") {
  const TemporaryFolder folder;
  for (const char* bytes : {"", "{\"row\":\"hea"}) {
    write_bytes(folder / "journal.jsonl", bytes);
    CHECK_THAT(refusal(folder / "journal.jsonl"), Catch::Contains("no header row"));
    Journal(folder / "journal.jsonl").header(sample_log());
    CHECK(read_journal(folder / "journal.jsonl").run_id == sample_log().run_id);
  }
}

TEST_CASE("a flipped byte before the last line is found with its line number") {
  const TemporaryFolder folder;
  write_journal(folder.path(), sample_log(3));
  const auto path = folder / "journal.jsonl";
  const std::string bytes = read_bytes(path);
  const std::size_t last = bytes.rfind('\n', bytes.size() - 2) + 1;
  for (std::size_t at = 0; at < last; at += 3) {
    std::string damaged = bytes;
    damaged[at] ^= 1;
    write_bytes(path, damaged);
    const std::size_t line = lines_in(bytes.substr(0, at)) + 1;
    const std::string wanted = concat("journal.jsonl:", line, ": this line is damaged");
    REQUIRE_THAT(refusal(path), Catch::Contains(wanted));
    const std::string remedy = line == 1 ? "put the run's folder back from a copy, or remove it"
                                         : concat("its first ", line - 1, " lines");
    REQUIRE_THAT(error_of(ExitCode::bad_input, [&] { Journal journal(path); }),
                 Catch::Contains(wanted) && Catch::Contains(remedy));
    REQUIRE(read_bytes(path) == damaged);
  }
}

TEST_CASE("a journal of another schema is refused, and nobody is told to cut it") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  RunLog later = sample_log();
  later.schema = 2;
  const std::size_t lines_before = GENERATE(0, 1);
  if (lines_before == 1) Journal(path).header(sample_log());
  Journal(path).header(later);
  const std::string message = refusal(path);
  CHECK_THAT(message,
             Catch::Contains(concat("journal.jsonl:", lines_before + 1,
                                    ": written in schema 2, but this program reads 1; ")) &&
                 Catch::EndsWith("use the metascale that wrote it"));
  CHECK_THAT(message, !Catch::Contains("cut") && !Catch::Contains("start the run"));
}

TEST_CASE("a last line with a wrong CRC is cut, even with its line feed") {
  const TemporaryFolder folder;
  write_journal(folder.path(), sample_log(3));
  std::string bytes = read_bytes(folder / "journal.jsonl");
  bytes[bytes.size() - 30] ^= 1;
  write_bytes(folder / "journal.jsonl", bytes);
  CHECK(read_journal(folder / "journal.jsonl").events.size() == 1);
  { const Journal journal(folder / "journal.jsonl"); }
  CHECK(lines_in(read_bytes(folder / "journal.jsonl")) == lines_in(bytes) - 1);
}

TEST_CASE("resuming supersedes later steps and evaluations, and keeps events") {
  const TemporaryFolder folder;
  RunLog log = sample_log(5);
  log.evaluations = {sample_evaluation(3, "validation", false),
                     sample_evaluation(5, "validation", false)};
  write_journal(folder.path(), log);
  Journal journal(folder / "journal.jsonl");
  journal.resume(3, 2);
  CHECK(read_journal(folder / "journal.jsonl").steps.size() == 3);
  journal.append(sample_step(4, 2));
  journal.append(sample_evaluation(3, "validation", false), "");
  const RunLog read = read_journal(folder / "journal.jsonl");
  REQUIRE(read.steps.size() == 4);
  CHECK(read.steps[2].attempt == 1);
  CHECK(read.steps[3].attempt == 2);
  REQUIRE(read.evaluations.size() == 1);
  CHECK(read.evaluations[0].step == 3);
  CHECK(read.events.size() == 2);
  CHECK(lines_in(read_bytes(folder / "journal.jsonl")) == 13);
}

TEST_CASE("a full disk breaks the journal loudly, and the rows before stay") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  const pid_t child = fork();
  if (child == 0) {  // limits of its own, so that the test's process keeps its
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2000, 2000};
    setrlimit(RLIMIT_FSIZE, &limit);
    Journal journal(path);
    journal.header(sample_log());
    std::string first, second;
    for (int step = 1; step < 100 && first.empty(); ++step)
      first = error_of(ExitCode::io, [&] { journal.append(sample_step(step)); });
    second = error_of(ExitCode::io, [&] { journal.append(sample_step(100)); });
    const bool good =
        first.find("journal.jsonl: cannot write: File too large; ") != std::string::npos &&
        second.find("a write to it failed before") != std::string::npos;
    _exit(good ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(read_bytes(path).size() == 2000);
  const std::size_t rows = read_journal(path).steps.size();
  CHECK(rows >= 3);
  Journal(path).append(sample_step(std::int64_t(rows) + 1));
  CHECK(read_journal(path).steps.size() == rows + 1);
}

TEST_CASE("rows that a killed writer had appended are there") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    Journal journal(path);
    journal.header(sample_log());
    for (std::int64_t step = 1;; ++step) {
      journal.append(sample_step(step));
      if (write(ends[1], &step, sizeof step) != sizeof step) _exit(1);
    }
  }
  std::int64_t acknowledged = 0;
  while (acknowledged < 500) REQUIRE(read(ends[0], &acknowledged, sizeof acknowledged) == 8);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ends[1]);
  while (read(ends[0], &acknowledged, sizeof acknowledged) == 8) {
  }
  close(ends[0]);
  CHECK(std::int64_t(read_journal(path).steps.size()) >= acknowledged);
}

TEST_CASE("segments come back, and damage to them is found") {
  const TemporaryFolder folder;
  const Evaluation evaluation = sample_evaluation(7, "test", true);
  const auto path = folder / "evaluations/test-step-7.bin";
  write_segments(path, evaluation);
  const std::string bytes = read_bytes(path);
  CHECK(bytes.size() == 32 + 2 * 44 + 32);
  const SegmentsFile file = read_segments(path);
  CHECK(file.step == 7);
  CHECK(file.digest == evaluation.digest);
  REQUIRE(file.segments.size() == 2);
  CHECK(file.segments[1].nats == 250.0);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 16;
    const auto refusal = [&] {
      return error_of(ExitCode::bad_input, [&] { read_segments(path); });
    };
    write_bytes(path, damaged);
    REQUIRE_THAT(refusal(), Catch::StartsWith(path.string() + ": "));
    write_bytes(path, bytes.substr(0, at));
    REQUIRE_THAT(refusal(), Catch::StartsWith(path.string() + ": "));
  }
}

TEST_CASE("a journal knows whether a segments file is the one it named") {
  const TemporaryFolder folder;
  write_journal(folder.path(), sample_log());
  Evaluation other = sample_evaluation(5, "test", true);
  other.segments[0].nats += 1;
  write_segments(folder / "evaluations/test-step-5.bin", other);
  CHECK_THAT(refusal(folder / "journal.jsonl"), Catch::Contains("not the file that was logged"));
}

TEST_CASE("a journal leads to no file outside its folder") {
  const TemporaryFolder folder;
  write_segments(folder / "outside.bin", sample_evaluation(5, "test", true));
  std::filesystem::create_directory(folder / "run");
  Journal journal(folder / "run/journal.jsonl");
  CHECK_THROWS_AS(journal.append(sample_evaluation(5, "test", true), "../outside.bin"),
                  std::invalid_argument);
}

TEST_CASE("a journal that names a file outside its folder is refused, whatever that file holds") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "run");
  write_journal(folder / "run", sample_log());
  const auto path = folder / "run/journal.jsonl";
  // What the digest in the journal is of: the path alone must be reason enough.
  std::filesystem::copy_file(folder / "run/evaluations/test-step-5.bin", folder / "outside.bin");
  const std::string name =
      GENERATE("../outside.bin", "evaluations/../../outside.bin", "", "/etc/passwd");
  CAPTURE(name);
  std::istringstream lines(read_bytes(path));
  std::string hostile;
  for (std::string line; std::getline(lines, line);) {
    auto row = nlohmann::ordered_json::parse(line);
    row.erase("crc");
    if (row.contains("segments")) row["segments"] = name;
    hostile += journal_line(row);
  }
  write_bytes(path, hostile);
  CHECK_THAT(refusal(path), Catch::Contains("outside the run's folder"));
}

TEST_CASE("a journal is not opened through a link, nor where it is no file") {
  const TemporaryFolder folder;
  write_bytes(folder / "precious", "the only copy");
  std::filesystem::create_symlink(folder / "precious", folder / "journal.jsonl");
  CHECK_THAT(error_of(ExitCode::io, [&] { Journal journal(folder / "journal.jsonl"); }),
             Catch::Contains("a symbolic link is not followed here"));
  CHECK(read_bytes(folder / "precious") == "the only copy");
  std::filesystem::create_symlink("nowhere", folder / "dangling.jsonl");
  CHECK(error_of(ExitCode::io, [&] { Journal journal(folder / "dangling.jsonl"); }) != "");
  CHECK_FALSE(std::filesystem::exists(folder / "nowhere"));
}

TEST_CASE("a run folder is read from run.h5 while it holds the journal's last row") {
  const TemporaryFolder folder;
  const RunLog log = sample_log();
  std::string source;
  write_journal(folder.path(), log);
  CHECK(all_differences(log, read_run_folder(folder.path(), &source)).empty());
  CHECK_THAT(source, Catch::StartsWith("journal.jsonl ("));
  write_run_file(folder / "run.h5", log);
  read_run_folder(folder.path(), &source);
  CHECK(source == "run.h5");
  Journal(folder / "journal.jsonl").append(sample_step(6));
  CHECK(read_run_folder(folder.path(), &source).steps.size() == 6);
  CHECK(source == "journal.jsonl (run.h5 is older)");
}

TEST_CASE("a final evaluation that only the journal has is not lost") {
  const TemporaryFolder folder;
  RunLog log = sample_log();
  write_journal(folder.path(), log);
  log.evaluations.pop_back();
  log.events.pop_back();
  write_run_file(folder / "run.h5", log);
  std::string source;
  CHECK(read_run_folder(folder.path(), &source).evaluations.size() == 2);
}

TEST_CASE("a last line with a good checksum that is no row is refused, not taken for a torn one") {
  const TemporaryFolder folder;
  write_journal(folder.path(), sample_log());
  const auto path = folder / "journal.jsonl";
  std::string line = R"({"row":)";
  line += R"(,"crc":")" + to_hex(crc32c(line.data(), line.size())) + "\"}\n";
  const std::string whole = read_bytes(path);
  write_bytes(path, whole + line);
  CHECK_THAT(refusal(path), Catch::Contains(concat("journal.jsonl:", lines_in(whole) + 1, ": ")));
}

TEST_CASE("of a damaged and a whole file the whole one is read") {
  const TemporaryFolder folder;
  const RunLog log = sample_log();
  std::string source;
  write_journal(folder.path(), log);
  write_run_file(folder / "run.h5", log);
  std::filesystem::resize_file(folder / "run.h5", 3000);
  CHECK(all_differences(log, read_run_folder(folder.path(), &source)).empty());
  CHECK_THAT(source, Catch::StartsWith("journal.jsonl (") && Catch::Contains("run.h5: "));
  write_run_file(folder / "run.h5", log);
  write_bytes(folder / "journal.jsonl", "rubbish\nrubbish\n");
  CHECK(all_differences(log, read_run_folder(folder.path(), &source)).empty());
  CHECK_THAT(source, Catch::StartsWith("run.h5 (") && Catch::Contains("journal.jsonl:1"));
  write_bytes(folder / "run.h5", "rubbish");
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read_run_folder(folder.path()); }),
             Catch::Contains("run.h5") && Catch::Contains("journal.jsonl:1"));
}

TEST_CASE("repair writes run.h5 where it is absent, damaged or older, and only there") {
  const TemporaryFolder folder;
  const RunLog log = sample_log();
  write_journal(folder.path(), log);
  CHECK(repair_run_folder(folder.path()));
  CHECK_FALSE(repair_run_folder(folder.path()));
  std::filesystem::resize_file(folder / "run.h5", 3000);
  CHECK(repair_run_folder(folder.path()));
  CHECK(all_differences(log, read_run_file(folder / "run.h5")).empty());
  Journal(folder / "journal.jsonl").resume(2, 2);
  CHECK(repair_run_folder(folder.path()));
  CHECK(read_run_file(folder / "run.h5").steps.size() == 2);
}
