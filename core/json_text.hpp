// JSON of unknown origin.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace metascale {

// Discarded where text is no JSON or is nested deeper than `deepest`: to write a value out again,
// as a digest or an error message does, takes a stack as deep as the value.
nlohmann::json parse_json(const std::string& text, int deepest = 64);

}  // namespace metascale
