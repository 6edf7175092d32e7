// Gradients of per-channel parameters of heads, whose summands need a sum over the head: whole
// warps work on a head of a row. In an order that does not change between runs.
#pragma once

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/column_sum.cuh"

namespace metascale::cuda {

inline constexpr int largest_head = 128;                        // channels
inline constexpr int lane_channels = largest_head / warp_size;  // lane l has l, l + 32, ...
inline constexpr int head_sum_warps = 16;

// What a warp adds up: sums[s][c] is of channel lane + 32 c.
template <typename T, int Count>
using LaneSums = T[Count][lane_channels];

// One block per head: warp w adds rows w, w + 16, ..., then the warps are added in order.
// add_row(sums, row, head) adds the summands of one row, and is called by whole warps.
template <typename T, int Count, typename AddRow>
__global__ void add_head_sums(ColumnSums<T, Count> to, std::int64_t rows, std::int64_t N,
                              AddRow add_row) {
  __shared__ T partial[head_sum_warps][largest_head];
  const int lane = int(threadIdx.x) % warp_size, warp = int(threadIdx.x) / warp_size;
  const std::int64_t head = blockIdx.x;
  LaneSums<T, Count> sums = {};
  for (std::int64_t row = warp; row < rows; row += head_sum_warps) add_row(sums, row, head);
  for (int s = 0; s < Count; ++s) {
    for (int c = 0; c < lane_channels; ++c) partial[warp][lane + warp_size * c] = sums[s][c];
    __syncthreads();
    const int n = int(threadIdx.x);
    if (n < N && to.sums[s]) {
      T total = 0;
      for (int w = 0; w < head_sum_warps; ++w) total += partial[w][n];
      accumulate(to.sums[s][head * N + n], total, to.fresh[s]);
    }
    __syncthreads();  // the next sum writes partial again
  }
}

template <typename T, int Count, typename AddRow>
void launch_head_sums(const char* name, CUstream_st* stream, ColumnSums<T, Count> to,
                      std::int64_t rows, std::int64_t heads, std::int64_t N, AddRow add_row) {
  const Grid grid{.blocks = groups(heads, 1), .threads = head_sum_warps * warp_size};
  launch(name, add_head_sums<T, Count, AddRow>, grid, stream, to, rows, N, add_row);
}

// One warp per head of a row, four to a block: body(row, head) is called by whole warps.
inline constexpr int head_warps = 4;

template <typename Body>
__global__ void each_head(std::int64_t rows, std::int64_t heads, Body body) {
  const std::int64_t i = std::int64_t(blockIdx.x) * head_warps + threadIdx.x / warp_size;
  if (i < rows * heads) body(i / heads, i % heads);
}

template <typename Body>
void launch_heads(const char* name, CUstream_st* stream, std::int64_t rows, std::int64_t heads,
                  Body body) {
  const Grid grid{.blocks = groups(rows * heads, head_warps), .threads = head_warps * warp_size};
  launch(name, each_head<Body>, grid, stream, rows, heads, body);
}

__device__ inline std::int64_t lane_of_warp() { return threadIdx.x % warp_size; }

}  // namespace metascale::cuda
