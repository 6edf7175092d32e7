// What whole warps do with heads of rows, and what they add up over rows on the way: gradients of
// per-channel parameters.
#pragma once

#include "kernels/cuda/head_lanes.cuh"
#include "kernels/cuda/partial_sums.cuh"

namespace metascale::cuda {

inline constexpr int head_sum_warps = 8;

// What a lane adds up: sums[s][c][w] is of neighbour w in its pack c.
template <typename Lanes, typename T, int Count>
using LaneSums = LaneNumbers<Lanes, T>[Count];

// A block has a warp's share of heads in a group of rows: warp w the rows w, w + 8, ... of it, then
// the warps are added in order. of_row(sums, row, head, exists) does what is to be done for a head
// of a row and adds its summands; it is called by whole warps.
template <typename Lanes, typename T, int Count, typename OfRow>
__global__ void add_head_sums(GroupSums<T, Count> to, std::int64_t rows, std::int64_t heads,
                              std::int64_t N, OfRow of_row) {
  __shared__ T partial[head_sum_warps][Lanes::channels];
  const int warp = int(threadIdx.x) / warp_size;
  const std::int64_t first = std::int64_t(blockIdx.x) * Lanes::heads, group = blockIdx.y;
  const std::int64_t head = first + Lanes::head();
  LaneSums<Lanes, T, Count> sums = {};
  for (std::int64_t row = group * head_sum_warps + warp; row < rows;
       row += to.groups * head_sum_warps)
    of_row(sums, row, head, head < heads);
  for (int s = 0; s < Count; ++s) {
    Lanes::each(N, [&](int c, std::int64_t n) {
      for (int w = 0; w < Lanes::Width; ++w)
        partial[warp][Lanes::head() * N + n + w] = sums[s][c][w];
    });
    __syncthreads();
    for (std::int64_t own = threadIdx.x; own < Lanes::heads * N; own += blockDim.x) {
      const std::int64_t column = first * N + own;
      if (column >= to.columns) break;
      T total = 0;
      for (int w = 0; w < head_sum_warps; ++w) total += partial[w][own];
      to.keep(s, group, column, total);
    }
    __syncthreads();  // the next sum writes partial again
  }
}

template <typename Lanes, typename T, int Count, typename OfRow>
void launch_head_sums(const char* name, const CudaQueue& queue, ColumnSums<T, Count> to,
                      std::int64_t rows, std::int64_t heads, std::int64_t N, OfRow of_row) {
  const std::int64_t shares = (heads + Lanes::heads - 1) / Lanes::heads;
  const GroupSums<T, Count> sums = group_sums(queue, to, rows, heads * N, head_sum_warps, shares);
  const Grid grid{.blocks = dim3(groups(shares, 1), unsigned(sums.groups)),
                  .threads = head_sum_warps * warp_size};
  launch(name, add_head_sums<Lanes, T, Count, OfRow>, grid, queue.stream, sums, rows, heads, N,
         of_row);
  finish_groups(name, queue.stream, sums);
}

// One warp per head of a row, four to a block: body(row, head) is called by whole warps.
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

}  // namespace metascale::cuda
