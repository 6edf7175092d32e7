#pragma once

#include <cuda_runtime.h>

#include "core/error.hpp"

namespace metascale::cuda {

// Throws with the reason unless status is cudaSuccess; what: "kernel x was not launched".
inline void expect_success(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    throw Error(concat(what, ": ", cudaGetErrorString(status)), ExitCode::run_failed);
}

}  // namespace metascale::cuda
