#include "data/encoded_line.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/json_text.hpp"
#include "data/json/document_line.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::int32_t> read_ids(const std::string& line) {
  const nlohmann::json json = parse_json(line);
  const bool has_ids = json.is_object() && json.contains("ids") && json["ids"].is_array();
  if (!has_ids) throw Error("is no object with a list \"ids\"", ExitCode::bad_input);
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& id : json["ids"]) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > INT32_MAX)
      throw Error(concat("ids[", ids.size(), "] is no token id"), ExitCode::bad_input);
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

}  // namespace

std::string encode_line(const std::string& line, const Tokenizer& tokenizer) {
  DocumentLineParser parser;
  Document document;
  const std::string fault =
      parser.parse(std::string(line), std::numeric_limits<std::int64_t>::max(), document);
  if (!fault.empty()) throw Error(fault, ExitCode::bad_input);
  std::vector<std::int32_t> ids;
  tokenizer.encode(document.text, ids);
  return Json{{"text", document.text}, {"ids", ids}}.dump();
}

std::string decode_line(const std::string& line, const Tokenizer& tokenizer) {
  const std::vector<std::int32_t> ids = read_ids(line);
  return Json{{"text", repair_utf8(tokenizer.decode(ids))}, {"ids", ids}}.dump();
}

}  // namespace metascale
