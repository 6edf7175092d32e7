// One thread per element, or per pack of neighbours.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packs.cuh"

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

template <int Width, typename Body>
__global__ void each_pack(std::int64_t count, Body body) {
  const std::int64_t thread = std::int64_t(blockIdx.x) * element_threads + threadIdx.x;
  const std::int64_t first = thread * Width, behind = first + Width;
  if (behind <= count) return body.template at<Width>(first);
#pragma unroll 1
  for (std::int64_t i = first; i < count; ++i) body.template at<1>(i);
}

// Calls body.at<Width>(i), a device function for the elements [i, i + Width), until all of
// [0, count) had their turn: by packs where `packed`, but for the last ones if they are no whole
// pack; else one by one.
template <typename Body>
void launch_packs(const char* name, CUstream_st* stream, std::int64_t count, bool packed,
                  Body body) {
  const int width = packed ? pack_width : 1;
  const Grid grid{.blocks = groups(count, std::int64_t(element_threads) * width),
                  .threads = element_threads};
  launch(name, packed ? each_pack<pack_width, Body> : each_pack<1, Body>, grid, stream, count,
         body);
}

}  // namespace metascale::cuda
