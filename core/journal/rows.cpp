#include "core/journal/rows.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/json_text.hpp"
#include "core/run_file/columns.hpp"

namespace metascale {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view crc_begin = ",\"crc\":\"";
constexpr std::string_view crc_end = "\"}";
constexpr std::size_t crc_digits = 8;
constexpr std::size_t tail_bytes = crc_begin.size() + crc_digits + crc_end.size();

[[noreturn]] void refuse(const char* name, const char* expected) {
  throw std::invalid_argument(concat("\"", name, "\" is missing or not ", expected));
}

const Json& member(const Json& row, const char* name) {
  static const Json absent;
  const auto found = row.find(name);
  return found == row.end() ? absent : *found;
}

// JSON has no NaN and no infinity, and its readers round integers above 2^53: those are
// hexadecimal.
template <typename T>
OrderedJson to_json_value(const T& value) {
  if constexpr (std::is_same_v<T, double>) {
    if (!std::isfinite(value)) return "0x" + to_hex(std::bit_cast<std::uint64_t>(value));
  }
  if constexpr (std::is_same_v<T, std::uint64_t>)
    return to_hex(value);
  else
    return value;
}

void from_json_value(const Json& row, const char* name, double& value) {
  const Json& found = member(row, name);
  if (found.is_number()) {
    value = found.get<double>();
    return;
  }
  std::uint64_t bits = 0;
  if (!found.is_string()) refuse(name, "a number");
  const auto& text = found.get_ref<const std::string&>();
  if (text.substr(0, 2) != "0x" || !parse_hex(std::string_view(text).substr(2), 16, bits))
    refuse(name, "a number");
  value = std::bit_cast<double>(bits);
}

void from_json_value(const Json& row, const char* name, std::uint64_t& value) {
  const Json& found = member(row, name);
  if (!found.is_string() || !parse_hex(found.get_ref<const std::string&>(), 16, value))
    refuse(name, "16 hexadecimal digits");
}

void from_json_value(const Json& row, const char* name, std::int64_t& value) {
  const Json& found = member(row, name);
  if (!found.is_number_integer()) refuse(name, "an integer");
  if (found.is_number_unsigned() &&
      found.get<std::uint64_t>() > std::uint64_t(std::numeric_limits<std::int64_t>::max()))
    refuse(name, "an integer of 64 bits");
  value = found.get<std::int64_t>();
}

void from_json_value(const Json& row, const char* name, std::int32_t& value) {
  std::int64_t wide = 0;
  from_json_value(row, name, wide);
  if (wide != std::int32_t(wide)) refuse(name, "an integer of 32 bits");
  value = std::int32_t(wide);
}

void from_json_value(const Json& row, const char* name, bool& value) {
  const Json& found = member(row, name);
  if (!found.is_boolean()) refuse(name, "true or false");
  value = found.get<bool>();
}

void from_json_value(const Json& row, const char* name, std::string& value) {
  const Json& found = member(row, name);
  if (!found.is_string()) refuse(name, "a string");
  value = found.get_ref<const std::string&>();
}

template <typename Row, typename Columns>
void put_columns(OrderedJson& json, const Row& row, const Columns& columns) {
  for_each_column(
      columns, [&](const auto& column) { json[column.name] = to_json_value(row.*column.member); });
}

template <typename Row, typename Columns>
Row get_columns(const Json& json, const Columns& columns) {
  Row row;
  for_each_column(
      columns, [&](const auto& column) { from_json_value(json, column.name, row.*column.member); });
  return row;
}

template <typename Row, typename Columns>
OrderedJson put_table(const std::vector<Row>& rows, const Columns& columns) {
  OrderedJson table = OrderedJson::array();
  for (const Row& row : rows) put_columns(table.emplace_back(OrderedJson::object()), row, columns);
  return table;
}

template <typename Row, typename Columns>
std::vector<Row> get_table(const Json& json, const char* name, const Columns& columns) {
  const Json& table = member(json, name);
  if (!table.is_array()) refuse(name, "a list");
  std::vector<Row> rows;
  for (const Json& row : table) rows.push_back(get_columns<Row>(row, columns));
  return rows;
}

std::map<std::string, std::string> get_words(const Json& row, const char* name) {
  const Json& found = member(row, name);
  if (!found.is_object()) refuse(name, "an object");
  std::map<std::string, std::string> words;
  for (const auto& [key, value] : found.items()) {
    if (!value.is_string()) refuse(name, "an object of strings");
    words[key] = value.get_ref<const std::string&>();
  }
  return words;
}

}  // namespace

std::string journal_line(const OrderedJson& row) {
  // Text that is not UTF-8 (a path, a message of the system) must not lose the row.
  std::string line = row.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  line.pop_back();
  const std::string crc = to_hex(crc32c(line.data(), line.size()));
  line.append(crc_begin).append(crc).append(crc_end).append("\n");
  return line;
}

bool has_good_crc(std::string_view line) {
  if (line.size() <= tail_bytes) return false;
  const std::string_view body = line.substr(0, line.size() - tail_bytes);
  const std::string_view tail = line.substr(body.size());
  std::uint64_t crc = 0;
  return tail.substr(0, crc_begin.size()) == crc_begin &&
         tail.substr(tail.size() - crc_end.size()) == crc_end &&
         parse_hex(tail.substr(crc_begin.size(), crc_digits), crc_digits, crc) &&
         crc == crc32c(body.data(), body.size());
}

std::optional<Json> parse_journal_line(std::string_view line) {
  if (!has_good_crc(line)) return std::nullopt;
  Json row = parse_json(line);
  if (!row.is_object()) return std::nullopt;
  return row;
}

OrderedJson to_row(const RunLog& log) {
  return {{"row", "header"},      {"schema", log.schema},
          {"run_id", log.run_id}, {"configuration", log.configuration},
          {"facts", log.facts},   {"environment", log.environment}};
}

OrderedJson to_row(const StepRow& row) {
  OrderedJson json = {{"row", "step"}};
  put_columns(json, row, step_columns);
  return json;
}

OrderedJson to_row(const Evaluation& evaluation) {
  OrderedJson json = {{"row", "evaluation"}};
  put_columns(json, evaluation, evaluation_columns);
  json["domains"] = put_table(evaluation.domains, domain_columns);
  json["positions"] = put_table(evaluation.positions, position_columns);
  if (!evaluation.probes.empty()) json["probes"] = put_table(evaluation.probes, probe_columns);
  return json;
}

OrderedJson to_row(const Event& event) {
  OrderedJson json = {{"row", "event"}};
  put_columns(json, event, event_columns);
  return json;
}

void read_header(const Json& row, RunLog& log) {
  const std::int64_t schema = read_int(row, "schema");
  if (schema != run_file_schema)
    throw std::invalid_argument(
        concat("written in schema ", schema, ", but this program reads ", run_file_schema));
  log.run_id = read_text(row, "run_id");
  log.configuration = read_text(row, "configuration");
  log.facts = get_words(row, "facts");
  log.environment = get_words(row, "environment");
}

StepRow read_step(const Json& row) { return get_columns<StepRow>(row, step_columns); }

Evaluation read_evaluation(const Json& row) {
  Evaluation evaluation = get_columns<Evaluation>(row, evaluation_columns);
  evaluation.domains = get_table<DomainRow>(row, "domains", domain_columns);
  evaluation.positions = get_table<PositionRow>(row, "positions", position_columns);
  if (row.contains("probes")) evaluation.probes = get_table<ProbeRow>(row, "probes", probe_columns);
  return evaluation;
}

Event read_event(const Json& row) { return get_columns<Event>(row, event_columns); }

std::int64_t read_int(const Json& row, const char* name) {
  std::int64_t value = 0;
  from_json_value(row, name, value);
  return value;
}

std::int32_t read_attempt(const Json& row) {
  std::int32_t attempt = 0;
  if (row.contains("attempt")) from_json_value(row, "attempt", attempt);
  return attempt;
}

std::string read_text(const Json& row, const char* name) {
  std::string value;
  from_json_value(row, name, value);
  return value;
}

}  // namespace metascale
