// Exports read back by readers of their own: the record format and the wire format as documented,
// with a bitwise CRC-32C.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "analysis/export.hpp"
#include "core/error.hpp"
#include "tests/support/analysis_fixture.hpp"

using namespace metascale;

namespace {

RunLog short_log() {
  fixture::SweepTruth truth;
  truth.steps = 20, truth.documents = 12;
  RunLog log = fixture::run_log(truth, truth.arms[0], truth.sizes[0], "1xC", 1);
  log.events.push_back({.time = 1700000000.5, .kind = "start"});
  return log;
}

std::uint32_t bitwise_crc32c(const std::string& bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

template <typename Number>
Number take(const std::string& bytes, std::size_t& at) {
  REQUIRE(at + sizeof(Number) <= bytes.size());
  Number value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  at += sizeof value;
  return value;
}

std::uint64_t take_varint(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = take<unsigned char>(bytes, at);
    value |= std::uint64_t(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

void check_crc(const std::string& bytes, std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8u;
  CHECK(((rotated >> 17) | (rotated << 15)) == bitwise_crc32c(bytes));
}

std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    const std::string head = file.substr(at, 8);
    const auto length = take<std::uint64_t>(file, at);
    check_crc(head, take<std::uint32_t>(file, at));
    REQUIRE(at + length + 4 <= file.size());
    records.push_back(file.substr(at, length));
    at += length;
    check_crc(records.back(), take<std::uint32_t>(file, at));
  }
  return records;
}

struct ReadEvent {
  double time = 0;
  std::int64_t step = 0;
  std::string version;
  std::map<std::string, float> values;
};

void read_value(const std::string& bytes, ReadEvent& event) {
  std::string tag;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t key = take_varint(bytes, at);
    if (key == (1 << 3 | 2)) {
      const std::size_t length = take_varint(bytes, at);
      tag = bytes.substr(at, length), at += length;
    } else {
      REQUIRE(key == (2 << 3 | 5));
      event.values[tag] = take<float>(bytes, at);
    }
  }
}

ReadEvent read_event(const std::string& bytes) {
  ReadEvent event;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t key = take_varint(bytes, at);
    if (key == (1 << 3 | 1)) {
      event.time = take<double>(bytes, at);
    } else if (key == (2 << 3 | 0)) {
      event.step = std::int64_t(take_varint(bytes, at));
    } else {
      const std::size_t length = take_varint(bytes, at);
      const std::string part = bytes.substr(at, length);
      at += length;
      if (key == (3 << 3 | 2)) {
        event.version = part;
        continue;
      }
      REQUIRE(key == (5 << 3 | 2));
      for (std::size_t inner = 0; inner < part.size();) {
        REQUIRE(take_varint(part, inner) == (1 << 3 | 2));
        const std::size_t size = take_varint(part, inner);
        read_value(part.substr(inner, size), event);
        inner += size;
      }
    }
  }
  return event;
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

TEST_CASE("a log without steps exports to nothing, and an unknown format is a usage error") {
  CHECK(tensorboard_events({}).empty());
  CHECK(wandb_history({}).empty());
  CHECK_THROWS_AS(export_format_named("excel"), Error);
  CHECK(export_format_named(name_of(ExportFormat::wandb)) == ExportFormat::wandb);
}
