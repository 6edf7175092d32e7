#include "core/json_text.hpp"

#include <nlohmann/json.hpp>

namespace metascale {

nlohmann::json parse_json(const std::string& text, int deepest) {
  struct TooDeep {};
  const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > deepest) throw TooDeep();
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch, false);
  } catch (const TooDeep&) {
    return nlohmann::json::value_t::discarded;
  }
}

}  // namespace metascale
