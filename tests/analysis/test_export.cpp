// Exports read back by readers of their own.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/export.hpp"
#include "analysis/support/csv.hpp"
#include "core/error.hpp"
#include "tests/support/analysis_fixture.hpp"
#include "tests/support/event_file.hpp"

using namespace metascale;
using testing::read_event, testing::ReadEvent, testing::records_of;

namespace {

RunLog short_log() {
  fixture::SweepTruth truth;
  truth.steps = 20, truth.documents = 12;
  RunLog log = fixture::run_log(truth, truth.arms[0], truth.sizes[0], "1xC", 1);
  log.events.push_back({.time = 1700000000.5, .kind = "start"});
  return log;
}

}  // namespace

TEST_CASE("an event file holds every step and evaluation, with checksums that hold") {
  const RunLog log = short_log();
  const auto records = records_of(tensorboard_events(log));
  REQUIRE(records.size() == 1 + log.steps.size() + log.evaluations.size());
  CHECK(read_event(records[0]).version == "brain.Event:2");
  const ReadEvent first = read_event(records[1]);
  CHECK(first.step == 1);
  CHECK(first.time == Approx(1700000000.5 + log.steps[0].seconds));
  CHECK(first.values.at("train/loss") == float(log.steps[0].loss));
  CHECK(first.values.at("train/learning_rate") == float(log.steps[0].learning_rate));
  const ReadEvent last = read_event(records.back());
  CHECK(last.step == 20);
  CHECK(last.values.at("test/loss") == float(log.evaluations.back().loss()));
  CHECK(last.values.at("test/domains/books") ==
        float(log.evaluations.back().domains[0].nats /
              double(log.evaluations.back().domains[0].tokens)));
}

TEST_CASE("an evaluation stands behind the step that it was made after") {
  std::vector<std::pair<std::int64_t, bool>> order;  // step, is an evaluation
  for (const std::string& record : records_of(tensorboard_events(short_log()))) {
    const ReadEvent event = read_event(record);
    if (!event.values.empty()) order.emplace_back(event.step, !event.values.count("train/loss"));
  }
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a history has one JSON line per step with the names of Weights and Biases") {
  RunLog log = short_log();
  log.steps[3].loss = std::numeric_limits<double>::quiet_NaN();
  std::istringstream lines(wandb_history(log));
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  REQUIRE(rows.size() == log.steps.size() + log.evaluations.size());
  CHECK(rows[0]["_step"] == 1);
  CHECK(double(rows[0]["train/loss"]) == log.steps[0].loss);
  CHECK(rows[0].contains("_timestamp"));
  const auto fourth = std::find_if(rows.begin(), rows.end(), [](const nlohmann::json& row) {
    return row["_step"] == 4 && row.contains("train/loss");
  });
  CHECK((*fourth)["train/loss"] == "NaN");
  CHECK(nlohmann::json::parse(wandb_config(log))["facts"]["arm"] == "transformer");
}

TEST_CASE(
    "a table of a history has every step and evaluation, and empty cells for what a row lacks") {
  RunLog log = short_log();
  log.evaluations.back().domains[0].domain = "books, \"old\"";
  log.steps[3].gradient_norm = std::numeric_limits<double>::quiet_NaN();
  const Csv table = parse_csv(csv_history(log), "history.csv");
  REQUIRE(table.rows.size() == log.steps.size() + log.evaluations.size());
  const auto at = [&](std::size_t row, const std::string& column) {
    return table.rows[row].cells[table.column(column)];
  };
  CHECK(std::stod(at(0, "train/loss")) == log.steps[0].loss);
  CHECK(at(0, "test/loss").empty());
  CHECK(std::stod(at(0, "time")) == 1700000000.5 + log.steps[0].seconds);
  const std::size_t last = table.rows.size() - 1;
  CHECK(at(last, "step") == "20");
  CHECK(at(last, "train/loss").empty());
  CHECK(std::stod(at(last, "test/loss")) == log.evaluations.back().loss());
  CHECK_FALSE(at(last, "test/domains/books, \"old\"").empty());
  const auto fourth = std::find_if(table.rows.begin(), table.rows.end(), [&](const CsvRow& row) {
    return row.cells[0] == "4" && !row.cells[table.column("train/loss")].empty();
  });
  CHECK(fourth->cells[table.column("train/gradient_norm")] == "nan");
}

TEST_CASE("a log without steps exports to nothing, and an unknown format is a usage error") {
  CHECK(csv_history({}).empty());
  CHECK(tensorboard_events({}).empty());
  CHECK(wandb_history({}).empty());
  CHECK_THROWS_AS(export_format_named("excel"), Error);
  CHECK(export_format_named(name_of(ExportFormat::wandb)) == ExportFormat::wandb);
}
