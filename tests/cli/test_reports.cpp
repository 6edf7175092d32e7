// report and fit as people start them: exports, a page that follows its runs, the bootstrap's
// draws.
#include <signal.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/atomic_file.hpp"
#include "tests/cli/program.hpp"
#include "tests/support/event_file.hpp"

namespace metascale {
namespace {

namespace fs = std::filesystem;
using Catch::Contains;
using nlohmann::json;
using testing::call_program, testing::Ended, testing::outcome_of, testing::Program,
    testing::RunsFolder, testing::Words;

std::vector<std::string> lines_of(const fs::path& file) {
  std::istringstream text(read_file(file));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

Words cells_of(const std::string& line) {  // of a table without quotes
  std::istringstream text(line);
  Words cells;
  for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
  return cells;
}

// The one file of a folder whose name begins so.
fs::path file_of(const fs::path& folder, const std::string& prefix) {
  for (const auto& item : fs::directory_iterator(folder))
    if (item.path().filename().string().starts_with(prefix)) return item.path();
  FAIL("no " << prefix << " in " << folder);
  return {};
}

TEST_CASE("report --export writes every step and evaluation for other people's tools") {
  const RunsFolder runs;
  REQUIRE(call_program(runs.path(), {"train", runs.write(runs.config("one")).string()}).code == 0);
  const Ended ended = call_program(runs.path(), {"report", runs.path().string(), "--no-figures",
                                                 "--export", "csv,tensorboard,wandb"});
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  const RunLog log = outcome_of(runs.run("one")).log;
  const std::size_t rows = log.steps.size() + log.evaluations.size();
  REQUIRE(log.steps.size() == 24);
  const fs::path report = runs.path() / "report";

  // What was evaluated before the first step stands before it.
  const auto first =
      std::size_t(std::count_if(log.evaluations.begin(), log.evaluations.end(),
                                [](const Evaluation& evaluation) { return evaluation.step < 1; }));

  const auto table = lines_of(report / "csv/one/history.csv");
  REQUIRE(table.size() == 1 + rows);
  const Words names = cells_of(table[0]), cells = cells_of(table[1 + first]);
  const auto loss = std::find(names.begin(), names.end(), "train/loss");
  REQUIRE(loss != names.end());
  CHECK(cells.at(0) == "1");
  CHECK(std::stod(cells.at(std::size_t(loss - names.begin()))) == log.steps[0].loss);

  const auto history = lines_of(report / "wandb/one/history.jsonl");
  REQUIRE(history.size() == rows);
  CHECK(json::parse(history[first]).at("train/loss").get<double>() == log.steps[0].loss);
  CHECK(json::parse(history.back()).at("test/loss").get<double>() == log.evaluations.back().loss());
  CHECK(json::parse(read_file(report / "wandb/one/config.json")).at("run_id") == "one");

  const auto records =
      testing::records_of(read_file(file_of(report / "tensorboard/one", "events.out.tfevents.")));
  REQUIRE(records.size() == 1 + rows);
  CHECK(testing::read_event(records[1 + first]).values.at("train/loss") ==
        float(log.steps[0].loss));
  CHECK(testing::read_event(records.back()).values.at("test/loss") ==
        float(log.evaluations.back().loss()));
}

TEST_CASE("report --export of a format that there is not is an error of usage, before any work") {
  const RunsFolder runs;
  const Ended ended =
      call_program(runs.path(), {"report", runs.path().string(), "--export", "csv,excel"});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("excel") && Contains("csv, tensorboard or wandb"));
  CHECK_FALSE(fs::exists(runs.path() / "report"));
}

TEST_CASE("a sweep file that cannot be read does not keep the report from coming") {
  const RunsFolder runs;
  REQUIRE(call_program(runs.path(), {"train", runs.write(runs.config("one")).string()}).code == 0);
  std::ofstream(runs.path() / "sweep.yaml") << "schema: 1\ncolour: red\n";
  const Ended ended = call_program(runs.path(), {"report", runs.path().string(), "--no-figures"});
  CHECK(ended.code == 0);
  CHECK_THAT(ended.text, Contains("sweep.yaml:") && Contains("goes on without"));
  CHECK(fs::exists(runs.path() / "report/report.html"));
}

TEST_CASE("a folder that only holds sweeps is refused by report, which names them") {
  const RunsFolder runs;
  const fs::path results = runs.path() / "results";
  for (const char* name : {"quick/runs", "pile/runs", "other"})
    fs::create_directories(results / name);
  const Ended ended = call_program(runs.path(), {"report", results.string(), "--no-figures"});
  CHECK(ended.code == 2);
  CHECK_THAT(ended.text, Contains("no sweep here") && Contains((results / "pile").string() + ", " +
                                                               (results / "quick").string()));
  CHECK_THAT(ended.text, !Contains("other"));
  CHECK_FALSE(fs::exists(results / "report"));
}

TEST_CASE("report on a folder without runs gives the page, and says so in the terminal") {
  const RunsFolder runs;
  const fs::path folder = runs.path() / "results" / "empty";
  fs::create_directories(folder / "runs");
  const Ended ended = call_program(runs.path(), {"report", folder.string(), "--no-figures"});
  CHECK(ended.code == 0);
  CHECK_THAT(ended.text, Contains("empty: holds no run"));
  CHECK(fs::exists(folder / "report/report.html"));
}

TEST_CASE("report says in the terminal what could not be read, is unfinished or stands alone") {
  const RunsFolder runs;
  REQUIRE(call_program(runs.path(), {"train", runs.write(runs.config("one")).string()}).code == 0);
  for (const char* name : {"damaged", "planned"})
    fs::create_directories(runs.path() / "runs" / name);
  std::ofstream(runs.path() / "runs/damaged/run.h5") << "no HDF5";
  std::ofstream(runs.path() / "sweep.lock.yaml") << "runs:\n  - id: one\n  - id: damaged\n";
  const Words report{"report", runs.path().string(), "--no-figures"};
  const Ended ended = call_program(runs.path(), report);
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  CHECK_THAT(ended.text, Contains("  1 unfinished\n") && Contains("  1 unreadable: damaged: ") &&
                             Contains("  1 run compared with none: planned: not in the sweep"));
  CHECK_THAT(ended.text, !Contains("not comparable"));
}

TEST_CASE("report --watch renews the page as runs go on, and ends by INT") {
  const RunsFolder runs;
  const fs::path first = runs.write(runs.config("first")),
                 second = runs.write(runs.config("second"));
  REQUIRE(call_program(runs.path(), {"train", first.string()}).code == 0);
  Program watch(runs.path(),
                {"report", runs.path().string(), "--watch", "--interval", "1", "--no-figures"});
  const fs::path table = runs.path() / "report/tables/runs.csv",
                 page = runs.path() / "report/report.html";
  const auto says = [&](const std::string& id, const std::string& state) {
    if (!fs::exists(page)) return false;  // the last file of each report
    for (const std::string& line : lines_of(table))
      if (line.starts_with(id + "," + state)) return true;
    return false;
  };
  testing::wait_until([&] { return says("first", "done"); });
  CHECK(says("second", "unfinished"));
  CHECK_THAT(read_file(page), Contains("<meta http-equiv=\"refresh\" content=\"1\">"));
  REQUIRE(call_program(runs.path(), {"train", second.string()}).code == 0);
  testing::wait_until([&] { return says("second", "done"); });
  CHECK(watch.is_running());
  watch.send(SIGINT);
  const Ended ended = watch.wait();
  INFO(ended.text);
  CHECK(ended.code == 0);
  CHECK(lines_of(page).back() == "</body></html>");
  CHECK_THAT(read_file(page), !Contains("http-equiv=\"refresh\""));  // nobody renews it any more
}

// A power law over ten sizes, two runs of each.
fs::path write_losses(const fs::path& folder) {
  const fs::path path = folder / "losses.csv";
  std::ofstream file(path);
  file.precision(12);
  file << "n,size,loss\n";
  for (int size = 0; size < 10; ++size)
    for (const double noise : {-0.002, 0.002}) {
      const double parameters = 1e6 * std::pow(2.5, size);
      file << parameters << ',' << size << ','
           << (1.7 + 60 * std::pow(parameters, -0.28)) * (1 + noise * (1 + size % 3)) << '\n';
    }
  return path;
}

TEST_CASE("fit --draws sets the bootstrap, --seed its draws, and 0 gives no intervals") {
  const RunsFolder runs;
  const std::string table = write_losses(runs.path()).string();
  const auto fit = [&](const Words& more) {
    Words words{"fit", table, "--law", "power", "--parameters", "n", "--cell", "size", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const Ended ended = call_program(runs.path(), words);
    INFO(ended.text);
    REQUIRE(ended.code == 0);
    return json::parse(ended.text.substr(ended.text.find('{')));
  };
  const json none = fit({"--draws", "0"}), some = fit({"--draws", "40"}),
             again = fit({"--draws", "40"}), other = fit({"--draws", "40", "--seed", "7"});
  CHECK(none.at("coefficients").at("alpha").get<double>() == Approx(0.28).epsilon(0.2));
  CHECK_FALSE(none.contains("intervals"));
  const json& interval = some.at("intervals").at("alpha");
  CHECK(interval.at(0).get<double>() < some.at("coefficients").at("alpha").get<double>());
  CHECK(interval.at(1).get<double>() > some.at("coefficients").at("alpha").get<double>());
  CHECK(some == again);
  CHECK(some.at("coefficients") == other.at("coefficients"));
  CHECK(some.at("intervals") != other.at("intervals"));
  const Ended negative = call_program(runs.path(), {"fit", table, "--draws", "-1"});
  CHECK(negative.code == 2);
  CHECK_THAT(negative.text, Contains("--draws: '-1' is negative"));
}

}  // namespace
}  // namespace metascale
