// The text of a journal's lines, and back. A line is one JSON object whose last member is the
// CRC-32C of the bytes before it: {"row":"step","step":1,...,"crc":"0123abcd"}
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "core/run_file.hpp"

namespace metascale {

std::string journal_line(const nlohmann::ordered_json& row);  // with crc and line feed

// The row of a line (without line feed), or nothing if its CRC does not fit.
bool has_good_crc(std::string_view line);
std::optional<nlohmann::json> parse_journal_line(std::string_view line);

nlohmann::ordered_json to_row(const RunLog& header);
nlohmann::ordered_json to_row(const StepRow& row);
nlohmann::ordered_json to_row(const Evaluation& evaluation);  // without its segments
nlohmann::ordered_json to_row(const Event& event);

// Throw std::invalid_argument saying which member is missing or wrong; read_header: or that the
// schema is another one.
void read_header(const nlohmann::json& row, RunLog& log);
StepRow read_step(const nlohmann::json& row);
Evaluation read_evaluation(const nlohmann::json& row);
Event read_event(const nlohmann::json& row);
std::int64_t read_int(const nlohmann::json& row, const char* name);
std::int32_t read_attempt(const nlohmann::json& row);  // 0 where the row names none
std::string read_text(const nlohmann::json& row, const char* name);

}  // namespace metascale
