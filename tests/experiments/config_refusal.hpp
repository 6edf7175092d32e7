// What the reader of config.yaml says to one mistake.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "core/error.hpp"
#include "experiments/config.hpp"

namespace metascale::testing {

// The message for run's text with `find` replaced; "accepted" where there is none.
inline std::string refusal_of(const RunConfig& run, const std::string& find,
                              const std::string& replacement) {
  std::string text = to_yaml(run);
  const std::size_t at = text.find(find);
  REQUIRE(at != std::string::npos);
  text.replace(at, find.size(), replacement);
  try {
    parse_run_config(text, "config.yaml");
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace metascale::testing
