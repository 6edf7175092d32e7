// Whole warps that work on a head of a row, and what they add up over rows: gradients of
// per-channel parameters.
#pragma once

#include "kernels/cuda/partial_sums.cuh"

namespace metascale::cuda {

inline constexpr int largest_head = 128;                        // channels
inline constexpr int lane_channels = largest_head / warp_size;  // lane l has l, l + 32, ...
inline constexpr int head_sum_warps = 8;

// What a warp adds up: sums[s][c] is of channel lane + 32 c.
template <typename T, int Count>
using LaneSums = T[Count][lane_channels];

// A block has a head in a group of rows: warp w the rows w, w + 8, ... of it, then the warps are
// added in order. of_row(sums, row, head) does what is to be done for a head of a row and adds its
// summands; it is called by whole warps.
template <typename T, int Count, typename OfRow>
__global__ void add_head_sums(GroupSums<T, Count> to, std::int64_t rows, std::int64_t N,
                              OfRow of_row) {
  __shared__ T partial[head_sum_warps][largest_head];
  const int lane = int(threadIdx.x) % warp_size, warp = int(threadIdx.x) / warp_size;
  const std::int64_t head = blockIdx.x, group = blockIdx.y;
  LaneSums<T, Count> sums = {};
  for (std::int64_t row = group * head_sum_warps + warp; row < rows;
       row += to.groups * head_sum_warps)
    of_row(sums, row, head);
  for (int s = 0; s < Count; ++s) {
    for (int c = 0; c < lane_channels; ++c) partial[warp][lane + warp_size * c] = sums[s][c];
    __syncthreads();
    const int n = int(threadIdx.x);
    if (n < N) {
      T total = 0;
      for (int w = 0; w < head_sum_warps; ++w) total += partial[w][n];
      to.keep(s, group, head * N + n, total);
    }
    __syncthreads();  // the next sum writes partial again
  }
}

template <typename T, int Count, typename OfRow>
void launch_head_sums(const char* name, const CudaQueue& queue, ColumnSums<T, Count> to,
                      std::int64_t rows, std::int64_t heads, std::int64_t N, OfRow of_row) {
  const GroupSums<T, Count> sums = group_sums(queue, to, rows, heads * N, head_sum_warps, heads);
  const Grid grid{.blocks = dim3(groups(heads, 1), unsigned(sums.groups)),
                  .threads = head_sum_warps * warp_size};
  launch(name, add_head_sums<T, Count, OfRow>, grid, queue.stream, sums, rows, N, of_row);
  finish_groups(name, queue.stream, sums);
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
