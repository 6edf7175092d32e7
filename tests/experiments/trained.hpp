// Runs in this process: to their end, or for some steps.
#pragma once

#include <catch2/catch.hpp>

#include "experiments/trainer.hpp"
#include "tests/support/tiny_run.hpp"

namespace metascale::testing {

// What the run leaves at its end; the test fails if it does not come there.
inline Outcome trained(const RunsFolder& runs, const RunConfig& config) {
  const std::filesystem::path folder = runs.write(config);
  REQUIRE(train(folder, {}) == ExitCode::good);
  return outcome_of(folder);
}

// Asks for it when so many steps and batches of evaluations are done.
inline TrainHooks stop_after(std::int64_t steps, StopRequest request = StopRequest::save) {
  TrainHooks hooks;
  hooks.stop = [left = steps, request]() mutable {
    return --left <= 0 ? request : StopRequest::none;
  };
  return hooks;
}

}  // namespace metascale::testing
