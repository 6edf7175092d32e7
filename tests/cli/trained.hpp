// A run that the program has trained.
#pragma once

#include <catch2/catch.hpp>

#include "tests/cli/program.hpp"

namespace metascale::testing {

inline std::filesystem::path trained(const RunsFolder& runs, const RunConfig& config) {
  const std::filesystem::path folder = runs.write(config);
  const Ended ended = call_program(runs.path(), {"train", folder});
  INFO(ended.text);
  REQUIRE(ended.code == 0);
  return folder;
}

inline std::filesystem::path trained(const RunsFolder& runs, Architecture architecture, int steps,
                                     int checkpoint_every) {
  RunConfig config = runs.config("model", architecture);
  config.training.steps = steps;
  config.log.checkpoint_every = checkpoint_every;
  return trained(runs, config);
}

}  // namespace metascale::testing
