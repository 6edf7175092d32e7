// Sums over the rows of a matrix, one per column: the gradients of weights and biases.
#pragma once

#include "kernels/cuda/packs.cuh"
#include "kernels/cuda/partial_sums.cuh"

namespace metascale::cuda {

inline constexpr int sum_lanes = 8;  // warps of a block, which share its columns

// A block adds a group of rows of 32 packs of columns: lane l of a column the rows l, l + 8, ... of
// its group, then the first lane adds the lanes in order. term.at<Width>(row, column) gives the
// summands of all Count sums for the columns [column, column + Width).
template <int Width, typename T, int Count, typename Term>
__global__ void add_column_sums(GroupSums<T, Count> to, std::int64_t rows, Term term) {
  __shared__ T lanes[sum_lanes][warp_size * Width];
  const int thread = int(threadIdx.x), lane = int(threadIdx.y);
  const std::int64_t first = std::int64_t(blockIdx.x) * warp_size * Width, group = blockIdx.y;
  const std::int64_t column = first + thread * Width;
  Numbers<T, Width> sum[Count] = {};
  if (column < to.columns)
    for (std::int64_t row = group * sum_lanes + lane; row < rows; row += to.groups * sum_lanes) {
      const std::array<Numbers<T, Width>, Count> summands = term.template at<Width>(row, column);
      for (int i = 0; i < Count; ++i)
        for (int w = 0; w < Width; ++w) sum[i][w] += summands[std::size_t(i)][w];
    }
  for (int i = 0; i < Count; ++i) {
    for (int w = 0; w < Width; ++w) lanes[lane][w * warp_size + thread] = sum[i][w];
    __syncthreads();
    // Every thread finishes a column: `own` of the block's, which lies at column % Width of a pack.
    for (int own = lane * warp_size + thread; own < warp_size * Width;
         own += sum_lanes * warp_size) {
      if (first + own >= to.columns) break;
      const int place = own % Width * warp_size + own / Width;
      T total = 0;
      for (int l = 0; l < sum_lanes; ++l) total += lanes[l][place];
      to.keep(i, group, first + own, total);
    }
    __syncthreads();  // the next sum writes lanes again
  }
}

// packed: rows are whole packs, and aligned.
template <typename T, int Count, typename Term>
void launch_column_sums(const char* name, const CudaQueue& queue, ColumnSums<T, Count> to,
                        std::int64_t rows, std::int64_t columns, bool packed, Term term) {
  constexpr int wide = Count > 2 ? pack_width / 2 : pack_width;  // what registers hold
  const unsigned blocks = groups(columns, std::int64_t(warp_size) * (packed ? wide : 1));
  const GroupSums<T, Count> sums = group_sums(queue, to, rows, columns, sum_lanes, blocks);
  const Grid grid{.blocks = dim3(blocks, unsigned(sums.groups)),
                  .threads = dim3(warp_size, sum_lanes)};
  launch(name, packed ? add_column_sums<wide, T, Count, Term> : add_column_sums<1, T, Count, Term>,
         grid, queue.stream, sums, rows, term);
  finish_groups(name, queue.stream, sums);
}

}  // namespace metascale::cuda
