#include "data/json/document_line.hpp"

#include <simdjson.h>

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

using namespace simdjson;

constexpr std::int64_t most_structure = std::int64_t(1) << 22;

// At least as many as simdjson keeps 4 bytes for: all that stands outside of texts, and their
// beginnings. As simdjson does it, what follows a backslash counts for nothing, outside of texts
// too.
std::int64_t structure_of(std::string_view line) {
  std::int64_t count = 0;
  bool inside = false;
  for (std::size_t at = 0; at < line.size(); ++at) {
    count += !inside;
    if (line[at] == '\\')
      ++at;
    else if (line[at] == '"')
      inside = !inside;
  }
  return count;
}

// What a line says, in the parser's memory until it parses the next one.
struct Found {
  bool has_text = false;
  std::vector<std::string_view> parts;  // of the text
  std::optional<std::string_view> domain;
};

// What is wrong with a line, in our words.
struct Fault {
  std::string what;
};

const char* words_of(ondemand::json_type type) {
  switch (type) {
    case ondemand::json_type::array: return "a list";
    case ondemand::json_type::object: return "an object";
    case ondemand::json_type::number: return "a number";
    case ondemand::json_type::string: return "a string";
    case ondemand::json_type::boolean: return "true or false";
    case ondemand::json_type::null: return "null";
  }
  return "no value";
}

// Of what simdjson found.
std::string words_of(error_code code) {
  constexpr std::pair<error_code, const char*> known[] = {
      {INCORRECT_TYPE, "the line is no JSON object"},
      {TAPE_ERROR, "the line is no JSON: a comma, colon, bracket or key is missing or too many"},
      {UNCLOSED_STRING, "the line is no JSON: a string is opened, but never closed"},
      {INCOMPLETE_ARRAY_OR_OBJECT, "the line is no JSON: it ends in the middle of an object"},
      {TRAILING_CONTENT, "the line has something behind its JSON object"},
      {UNESCAPED_CHARS, "the line is no JSON: a string holds a control character"},
      {STRING_ERROR, "the line is no JSON: a string holds an unknown escape"},
      {DEPTH_ERROR, "the line nests more lists and objects than can be read"},
  };
  for (const auto& [each, words] : known)
    if (each == code) return words;
  return concat("the line cannot be read as JSON (", error_message(code), ")");
}

std::string_view read_string(ondemand::value value, std::string_view name) {
  const ondemand::json_type type = value.type();
  if (type != ondemand::json_type::string)
    throw Fault{concat(name, " is ", words_of(type), ", not a string")};
  return value.get_string();
}

// "text" may be a list of texts [lm_dataformat joins them by a blank line].
void read_text(ondemand::value value, std::vector<std::string_view>& parts) {
  parts.clear();
  if (value.type() == ondemand::json_type::array) {
    for (ondemand::value part : value.get_array())
      parts.push_back(read_string(part, "a part of \"text\""));
  } else {
    parts.push_back(read_string(value, "\"text\""));
  }
}

void read_domain(ondemand::value meta, std::optional<std::string_view>& domain) {
  if (meta.type() != ondemand::json_type::object) return;  // some sets have "meta": "..."
  ondemand::value name;
  if (meta.get_object().find_field_unordered("pile_set_name").get(name) == SUCCESS)
    domain = read_string(name, "meta.pile_set_name");
}

void copy_to(Document& document, const Found& found) {
  constexpr std::string_view between = "\n\n";
  std::size_t size = 0;
  for (const std::string_view part : found.parts) size += part.size() + between.size();
  document.text.clear();
  document.text.reserve(size);
  for (const std::string_view& part : found.parts) {
    if (&part != &found.parts.front()) document.text += between;
    document.text += part;
  }
  if (found.domain) document.domain = *found.domain;
}

}  // namespace

struct DocumentLineParser::State {
  ondemand::parser parser;
  Found found;

  // What is wrong with the line; repairable: simdjson refuses what the Pile's own reader takes.
  std::string read(std::string_view line, bool& repairable) {
    static_assert(padding >= SIMDJSON_PADDING);
    repairable = false;
    try {
      read_fields(padded_string_view(line, line.size() + padding));
    } catch (const simdjson_error& error) {
      repairable = error.error() == UTF8_ERROR || error.error() == STRING_ERROR;
      return words_of(error.error());
    } catch (const Fault& fault) {
      return fault.what;
    }
    if (!found.has_text) return "the object has no \"text\"";
    if (found.domain && found.domain->size() > longest_domain)
      return concat("the name of its domain, meta.pile_set_name, has ", found.domain->size(),
                    " bytes, more than ", longest_domain);
    return "";
  }

  void read_fields(const padded_string_view& line) {  // throws simdjson_error
    found.has_text = false;
    found.parts.clear();
    found.domain.reset();
    ondemand::document json = parser.iterate(line);
    ondemand::object object = json.get_object();
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      if (key == "text") {
        read_text(field.value(), found.parts);
        found.has_text = true;
      } else if (key == "meta") {
        read_domain(field.value(), found.domain);
      }
    }
    if (json.current_location().error() != OUT_OF_BOUNDS) throw simdjson_error(TRAILING_CONTENT);
  }
};

DocumentLineParser::DocumentLineParser() : state_(std::make_unique<State>()) {}
DocumentLineParser::~DocumentLineParser() = default;

std::string DocumentLineParser::parse(std::string_view line, Document& document) {
  bool repairable = false;
  std::string fault = state_->read(line, repairable);
  if (repairable)
    return parse(std::string(line), std::numeric_limits<std::int64_t>::max(), document);
  if (fault.empty()) copy_to(document, state_->found);
  return fault;
}

std::string DocumentLineParser::parse(std::string&& line, std::int64_t most, Document& document) {
  if (!validate_utf8(line)) {
    const std::size_t size = repaired_size(line);
    if (std::int64_t(size) > most)
      return concat("the line has ", size, " bytes, more than ", most,
                    ", when U+FFFD stands for all that is not UTF-8");
    line = repair_utf8(line);
  }
  const bool is_long = line.size() > long_line;
  if (is_long && structure_of(line) > most_structure)
    return concat("the line has more than ", most_structure,
                  " bytes outside of texts, for which reading would need too much memory");
  line.reserve(line.size() + padding);
  bool repairable = false;
  std::string fault = state_->read(line, repairable);
  if (repairable) {
    repair_surrogate_escapes(line);
    fault = state_->read(line, repairable);
  }
  std::string().swap(line);  // before there is a third copy
  if (fault.empty()) copy_to(document, state_->found);
  if (is_long) *state_ = State();
  return fault;
}

}  // namespace metascale
