#include "data/json/document_line.hpp"

#include <simdjson.h>

#include "core/error.hpp"
#include "data/utf8.hpp"

namespace metascale {
namespace {

using namespace simdjson;

constexpr std::size_t long_line = std::size_t(16) << 20;  // bytes; its buffers are not kept

// "text" may be a list of texts [lm_dataformat joins them by a blank line].
void read_text(ondemand::value value, std::string& text) {
  text.clear();
  if (value.type() != ondemand::json_type::array) {
    text = std::string_view(value.get_string());
    return;
  }
  bool first = true;
  for (auto part : value.get_array()) {
    if (!first) text += "\n\n";
    text += std::string_view(part.get_string());
    first = false;
  }
}

void read_domain(ondemand::value meta, std::string& domain) {
  if (meta.type() != ondemand::json_type::object) return;  // some sets have "meta": "..."
  ondemand::value name;
  if (meta.get_object().find_field_unordered("pile_set_name").get(name) == SUCCESS)
    domain = std::string_view(name.get_string());
}

}  // namespace

struct DocumentLineParser::State {
  ondemand::parser parser;

  // Throws simdjson_error. Returns whether there was a text.
  bool parse(const padded_string_view& line, Document& document) {
    ondemand::document json = parser.iterate(line);
    ondemand::object object = json.get_object();
    bool found = false;
    for (auto field : object) {
      const std::string_view key = field.unescaped_key();
      if (key == "text") {
        read_text(field.value(), document.text);
        found = true;
      } else if (key == "meta") {
        read_domain(field.value(), document.domain);
      }
    }
    if (json.current_location().error() != OUT_OF_BOUNDS) throw simdjson_error(TRAILING_CONTENT);
    return found;
  }
};

DocumentLineParser::DocumentLineParser() : state_(std::make_unique<State>()) {}
DocumentLineParser::~DocumentLineParser() = default;

std::string DocumentLineParser::parse(std::string_view line, Document& document) {
  static_assert(padding >= SIMDJSON_PADDING);
  constexpr const char* no_text = "the object has no \"text\"";
  const auto attempt = [&](std::string_view bytes, bool& repairable) -> std::string {
    try {
      const padded_string_view padded(bytes, bytes.size() + padding);
      return state_->parse(padded, document) ? "" : no_text;
    } catch (const simdjson_error& error) {
      repairable = error.error() == UTF8_ERROR || error.error() == STRING_ERROR;
      return error.what();
    }
  };
  bool repairable = false;
  std::string fault = attempt(line, repairable);
  if (repairable) {  // simdjson refuses what the Pile's own reader takes: invalid UTF-8, lone
                     // surrogates
    std::string repaired = repair_surrogate_escapes(repair_utf8(line));
    repaired.reserve(repaired.size() + padding);
    fault = attempt(repaired, repairable);
  }
  if (line.size() > long_line) state_->parser = ondemand::parser();
  return fault;
}

}  // namespace metascale
