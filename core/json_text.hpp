// JSON of unknown origin.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace metascale {

// Discarded where text is no JSON or is nested deeper than `deepest`: to write a value out again,
// to compare or to copy it, as a digest or an error message does, takes a stack as deep as the
// value. The only place that may call nlohmann's parser.
nlohmann::json parse_json(std::string_view text, int deepest = 64);

// The same; members of objects stay in their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text, int deepest = 64);

// As parse_json, but throws nlohmann::json::exception, which says what is wrong and where.
nlohmann::json parse_json_or_throw(std::string_view text, int deepest = 64);

}  // namespace metascale
