#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/hash.hpp"
#include "core/heartbeat.hpp"
#include "core/journal.hpp"
#include "core/journal/rows.hpp"
#include "core/json_text.hpp"
#include "tests/core/samples.hpp"

using namespace metascale;

namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("JSON is read to the depth that is asked for, and no deeper") {
  CHECK(parse_json(nested(64)).is_array());
  CHECK(parse_json(nested(65)).is_discarded());
  CHECK(parse_json(nested(3), 3).is_array());
  CHECK(parse_json(nested(4), 3).is_discarded());
  CHECK(parse_json(R"([[1], [2], {"a": [3]}])", 3)[2]["a"][0] == 3);
  CHECK(parse_json(std::string(1 << 20, '[')).is_discarded());
  CHECK(parse_json(R"({"a":1)").is_discarded());
  CHECK(parse_ordered_json(R"({"b":1,"a":2})").begin().key() == "b");
  CHECK(parse_ordered_json(nested(65)).is_discarded());
}

TEST_CASE("brackets in strings are text") {
  const nlohmann::json words = {std::string(100, '['), "a\"[[[[", "\\", "[[[[\\\"[[[[", "{{{{{"};
  CHECK(parse_json(words.dump(), 1) == words);
}

TEST_CASE("whoever wants to know is told why a text is no JSON") {
  CHECK(parse_json_or_throw("[1]")[0] == 1);
  CHECK_THROWS_WITH(parse_json_or_throw("[1"), Catch::Contains("unexpected end of input"));
  CHECK_THROWS_AS(parse_json_or_throw(nested(65)), nlohmann::json::exception);
  CHECK_THROWS_WITH(parse_json_or_throw(nested(65)), Catch::Contains("nested more than 64 deep"));
}

TEST_CASE("a journal's line that is nested a hundred thousand deep is refused") {
  const TemporaryFolder folder;
  const auto path = folder / "journal.jsonl";
  Journal(path).header(sample_log());
  // As a forger writes it: the library's own printing would need a stack as deep.
  std::string line = R"({"row":"evaluation","step":1,"segments":)" + nested(100'000);
  line += R"(,"crc":")" + to_hex(crc32c(line.data(), line.size())) + "\"}\n";
  CHECK(has_good_crc(std::string_view(line).substr(0, line.size() - 1)));
  write_bytes(path, read_bytes(path) + line);
  CHECK_THAT(error_of(ExitCode::bad_input, [&] { read_journal(path); }),
             Catch::Contains("journal.jsonl:2: ") && Catch::Contains("not one JSON object"));
}

TEST_CASE("a heartbeat that is nested a hundred thousand deep is none") {
  const TemporaryFolder folder;
  write_bytes(folder / "state.json", R"({"state":)" + nested(100'000) + "}");
  CHECK_FALSE(read_heartbeat(folder.path()));
}
