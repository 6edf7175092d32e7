// Small sweep files for the tests.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "sweeps/resolve.hpp"

namespace metascale {

// Two arms at one size, for --set to change.
inline const char* const small_sweep = R"(schema: 1
name: small
arms:
  rwkv7: {architecture: rwkv7}
  meta_state: {architecture: meta_state}
match: {on: non_embedding_parameters, tolerance: 1%}
axes:
  size: [{name: 200k, layers: 3, width: 64, head_size: 32, target: 200k}]
  length: [100k tokens]
  seed: [1]
training: {batch_tokens: 2048, context: 128}
data: {name: toy, train: t/train, validation: t/val, test: t/test}
)";

inline Definition small_definition(const std::vector<std::string>& overrides = {}) {
  return parse_definition(small_sweep, "sweep.yaml", overrides);
}
inline Resolution small_resolution(const std::vector<std::string>& overrides = {}) {
  return resolve(small_definition(overrides));
}

// The message of a usage error; "accepted" where there is none.
inline std::string refusal_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ExitCode::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace metascale
