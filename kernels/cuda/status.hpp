#pragma once

#include <cuda_runtime.h>

#include "kernels/gpu_failure.hpp"

namespace metascale::cuda {

// Throws with the reason unless status is cudaSuccess; what: "kernel x was not launched".
inline void expect_success(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw GpuFailure(concat(what, ": ", cudaGetErrorString(status)));
}

}  // namespace metascale::cuda
