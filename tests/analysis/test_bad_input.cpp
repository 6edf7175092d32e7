// Whatever lies in a results folder, the page comes and says what it is.
#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "analysis/export.hpp"
#include "analysis/report.hpp"
#include "core/error.hpp"
#include "core/file.hpp"
#include "core/journal.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;
namespace fs = std::filesystem;

namespace {

const ReportOptions quick{.bootstrap_pairs = 50, .bootstrap_fits = 10, .figures = false};

class Results {
 public:
  Results()
      : path_(fs::temp_directory_path() /
              ("metascale-bad-" + std::to_string(std::random_device{}()))) {
    fs::create_directories(path_ / "runs");
  }
  ~Results() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  fs::path add(const RunLog& log) const {
    const fs::path folder = path_ / "runs" / log.run_id;
    fs::create_directories(folder);
    write_run_file(folder / "run.h5", log);
    std::ofstream(folder / "DONE") << "done";
    return folder;
  }
  std::string page() const {
    std::ifstream file(path_ / "report/report.html");
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  fs::path path_;
};

std::vector<RunLog> two_logs() {
  fixture::SweepTruth truth;
  truth.steps = 10, truth.documents = 12;
  return {fixture::run_log(truth, truth.arms[0], truth.sizes[0], "1xC", 1),
          fixture::run_log(truth, truth.arms[2], truth.sizes[0], "1xC", 1)};
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a log of another schema is listed as unreadable with the reason") {
  const Results results;
  auto logs = two_logs();
  logs[1].schema = 99;
  for (const RunLog& log : logs) results.add(log);
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.unreadable == 1);
  CHECK(result.done == 1);
  CHECK(has(results.page(), "unreadable"));
  CHECK(has(results.page(), "schema"));
}

TEST_CASE("a log that was cut in half is listed as unreadable, and the others are reported") {
  const Results results;
  const auto logs = two_logs();
  results.add(logs[0]);
  const fs::path folder = results.add(logs[1]);
  fs::resize_file(folder / "run.h5", fs::file_size(folder / "run.h5") / 2);
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.unreadable == 1);
  CHECK(result.done == 1);
  CHECK(has(results.page(), "chart-curves"));
}

TEST_CASE("a journal whose last line is torn is read up to it") {
  const Results results;
  const RunLog log = two_logs()[0];
  const fs::path folder = results.path() / "runs" / log.run_id;
  fs::create_directories(folder);
  {
    Journal journal(folder / "journal.jsonl");
    journal.header(log);
    for (const StepRow& row : log.steps) journal.append(row);
  }
  fs::resize_file(folder / "journal.jsonl", fs::file_size(folder / "journal.jsonl") - 20);
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.unfinished == 1);
  CHECK(has(results.page(), "step 9 of 10"));
}

TEST_CASE("a run read from its journal says that its run.h5 is damaged") {
  const Results results;
  const RunLog log = two_logs()[0];
  const fs::path folder = results.path() / "runs" / log.run_id;
  fs::create_directories(folder);
  {
    Journal journal(folder / "journal.jsonl");
    journal.header(log);
    for (const StepRow& row : log.steps) journal.append(row);
  }
  write_report(results.path(), quick);
  CHECK_FALSE(has(results.page(), "is damaged"));  // a run that goes on has no run.h5 yet
  std::ofstream(folder / "run.h5") << "no HDF5";
  write_report(results.path(), quick);
  CHECK(has(results.page(), "step 10 of 10; read from its journal: run.h5 is damaged"));
}

TEST_CASE("a run that the sweep file does not name is a run left out, not half a pair") {
  const Results results;
  auto logs = two_logs();
  logs[1].facts["tokenizer"] = "20B_tokenizer.json";
  for (const RunLog& log : logs) results.add(log);
  results.add(fixture::run_log({}, {"strange", "rwkv7"}, {"1M", 1e6}, "1xC", 1));
  std::ofstream(results.path() / "sweep.lock.yaml")
      << "runs:\n  - id: " << logs[0].run_id << "\n  - id: " << logs[1].run_id << "\n";
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.not_comparable == 1);
  CHECK(has(result.first_difference, "tokenizer differs"));
  CHECK(result.left_out == 1);
  CHECK(has(result.first_left_out, "strange"));
  CHECK(has(result.first_left_out, ": not in the sweep file"));
}

TEST_CASE("runs of different tokenizers are reported side by side and not compared") {
  const Results results;
  auto logs = two_logs();
  logs[1].facts["tokenizer"] = "20B_tokenizer.json";
  for (const RunLog& log : logs) results.add(log);
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.done == 2);
  CHECK(result.not_comparable == 1);
  CHECK(has(results.page(), "tokenizer differs"));
}

TEST_CASE("a folder of rubbish gives a page with every run in it") {
  const Results results;
  for (const char* name : {"empty", "text", "folders"})
    fs::create_directories(results.path() / "runs" / name);
  std::ofstream(results.path() / "runs/text/run.h5") << "this is no HDF5";
  fs::create_directories(results.path() / "runs/folders/run.h5");
  std::ofstream(results.path() / "runs/a file") << "";
  const ReportResult result = write_report(results.path(), quick);
  CHECK(result.done == 0);
  CHECK(result.unreadable == 2);
  CHECK(result.unfinished == 1);
  CHECK(has(results.page(), "No run is done"));
}

TEST_CASE("a run that cannot be read is named by an export, the others are exported") {
  const Results results;
  const auto logs = two_logs();
  results.add(logs[0]);
  const fs::path folder = results.add(logs[1]);
  const Collection collection = collect(results.path());
  fs::resize_file(folder / "run.h5", 100);
  const ExportResult exported =
      export_runs(collection, ExportFormat::wandb, results.path() / "wandb");
  CHECK(exported.runs == 1);
  REQUIRE(exported.problems.size() == 1);
  CHECK(has(exported.problems[0], logs[1].run_id));
  CHECK(fs::file_size(results.path() / "wandb" / logs[0].run_id / "history.jsonl") > 0);
}
