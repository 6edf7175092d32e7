#include "core/json_text.hpp"

#include <nlohmann/json.hpp>

#include "core/error.hpp"

namespace metascale {
namespace {

// Whether a bracket of text stands deeper than that. Up to the first mistake, if there is one, this
// sees strings as the parser does.
bool is_deeper(std::string_view text, int deepest) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (in_string) {
      if (letter == '\\') ++i;
      if (letter == '"') in_string = false;
    } else if (letter == '"') {
      in_string = true;
    } else if (letter == '[' || letter == '{') {
      if (++depth > deepest) return true;
    } else if (letter == ']' || letter == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

nlohmann::json parse_json(std::string_view text, int deepest) {
  if (is_deeper(text, deepest)) return nlohmann::json::value_t::discarded;
  return nlohmann::json::parse(text, nullptr, false);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, int deepest) {
  if (is_deeper(text, deepest)) return nlohmann::ordered_json::value_t::discarded;
  return nlohmann::ordered_json::parse(text, nullptr, false);
}

nlohmann::json parse_json_or_throw(std::string_view text, int deepest) {
  if (is_deeper(text, deepest))
    throw nlohmann::json::other_error::create(501, concat("nested more than ", deepest, " deep"),
                                              nullptr);
  return nlohmann::json::parse(text);
}

}  // namespace metascale
