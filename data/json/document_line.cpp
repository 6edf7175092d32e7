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
constexpr int most_depth = 64;  // of lists and objects in each other, each a call here

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

// What a line says, in the parser's memory until it parses the next one. Faults are kept beside
// what they are of: a key that comes again takes them away.
struct Found {
  bool has_text = false;
  std::vector<std::string_view> parts;  // of the text
  std::optional<std::string_view> domain;
  std::string text_fault, domain_fault;
};

const char* kind_of(char first) {  // of a value that begins so
  switch (first) {
    case '[': return "a list";
    case '{': return "an object";
    case '"': return "a string";
    case 't':
    case 'f': return "true or false";
    case 'n': return "null";
  }
  return "a number";
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
      {T_ATOM_ERROR, "the line is no JSON: what stands in the place of a value is none"},
  };
  for (const auto& [each, words] : known)
    if (each == code) return words;
  return concat("the line cannot be read as JSON (", error_message(code), ")");
}

// Passes over the digits from at on; false where there is none.
bool pass_digits(std::string_view token, std::size_t& at) {
  const std::size_t begin = at;
  while (at < token.size() && token[at] >= '0' && token[at] <= '9') ++at;
  return at > begin;
}

bool is_number(std::string_view token) {
  std::size_t at = token.starts_with('-');
  if (at < token.size() && token[at] == '0')
    ++at;  // nothing but a fraction or an exponent follows it
  else if (!pass_digits(token, at))
    return false;
  if (at < token.size() && token[at] == '.' && !pass_digits(token, ++at)) return false;
  if (at < token.size() && (token[at] == 'e' || token[at] == 'E')) {
    ++at;
    if (at < token.size() && (token[at] == '+' || token[at] == '-')) ++at;
    if (!pass_digits(token, at)) return false;
  }
  return at == token.size();
}

// simdjson takes anything for a value that nobody reads. NaN and infinities are values in Python's
// json.
void check_scalar(std::string_view token) {
  token = token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  for (const char* known : {"true", "false", "null", "NaN", "Infinity", "-Infinity"})
    if (token == known) return;
  if (!is_number(token)) throw simdjson_error(T_ATOM_ERROR);
}

char first_of(ondemand::value& value) {
  const std::string_view token = value.raw_json_token();
  return token.empty() ? '\0' : token.front();
}

// Reads a value that is not wanted to its end, at that depth of lists and objects.
void check(ondemand::value value, int depth) {
  const char first = first_of(value);
  if ((first == '[' || first == '{') && depth == most_depth) throw simdjson_error(DEPTH_ERROR);
  if (first == '[') {
    for (ondemand::value each : value.get_array()) check(each, depth + 1);
  } else if (first == '{') {
    for (auto field : value.get_object()) {
      static_cast<void>(std::string_view(field.unescaped_key()));
      check(field.value(), depth + 1);
    }
  } else if (first == '"') {
    static_cast<void>(std::string_view(value.get_string()));
  } else {
    check_scalar(value.raw_json_token());
  }
}

// Empty where the value is none.
std::optional<std::string_view> read_string(ondemand::value value, int depth, const char* name,
                                            std::string& fault) {
  const char first = first_of(value);
  if (first == '"') return std::string_view(value.get_string());
  check(value, depth);
  if (fault.empty()) fault = concat(name, " is ", kind_of(first), ", not a string");
  return std::nullopt;
}

// "text" may be a list of texts [lm_dataformat joins them by a blank line].
void read_text(ondemand::value value, Found& found) {
  found.has_text = true;
  found.parts.clear();
  found.text_fault.clear();
  const auto read = [&](ondemand::value part, int depth, const char* name) {
    if (const auto text = read_string(part, depth, name, found.text_fault))
      found.parts.push_back(*text);
  };
  if (first_of(value) != '[') return read(value, 1, "\"text\"");
  for (ondemand::value part : value.get_array()) read(part, 2, "a part of \"text\"");
}

void read_meta(ondemand::value meta, Found& found) {
  found.domain.reset();
  found.domain_fault.clear();
  if (first_of(meta) != '{') return check(meta, 1);  // some sets have "meta": "..."
  for (auto field : meta.get_object()) {
    const std::string_view key = field.unescaped_key();
    if (key == "pile_set_name") {
      found.domain_fault.clear();
      found.domain = read_string(field.value(), 2, "meta.pile_set_name", found.domain_fault);
    } else {
      check(field.value(), 2);
    }
  }
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
    }
    if (!found.text_fault.empty()) return found.text_fault;
    if (!found.domain_fault.empty()) return found.domain_fault;
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
    found.text_fault.clear();
    found.domain_fault.clear();
    ondemand::document json = parser.iterate(line);
    ondemand::object object = json.get_object();
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      if (key == "text")
        read_text(field.value(), found);
      else if (key == "meta")
        read_meta(field.value(), found);
      else
        check(field.value(), 1);
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
