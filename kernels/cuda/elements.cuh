// One thread per element.
#pragma once

#include "kernels/cuda/launch.cuh"

namespace metascale::cuda {

inline constexpr int element_threads = 256;

template <typename Body>
__global__ void each_element(std::int64_t count, Body body) {
  const std::int64_t i = std::int64_t(blockIdx.x) * element_threads + threadIdx.x;
  if (i < count) body(i);
}

// Calls body(i), a device function, for every i of [0, count).
template <typename Body>
void launch_elements(const char* name, CUstream_st* stream, std::int64_t count, Body body) {
  const Grid grid{.blocks = groups(count, element_threads), .threads = element_threads};
  launch(name, each_element<Body>, grid, stream, count, body);
}

}  // namespace metascale::cuda
