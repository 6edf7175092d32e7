// What a call to CUDA throws that fails while a run is under way.
#pragma once

#include "core/error.hpp"

namespace metascale {

struct GpuFailure : Error {
  explicit GpuFailure(const std::string& message) : Error(message, ExitCode::run_failed) {}
};

}  // namespace metascale
