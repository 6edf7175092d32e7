// Sums over many rows in two launches: groups of rows add up what they have, then the groups are
// added in order. One group per column would leave most of a GPU idle; in either launch the order
// of additions does not change between runs.
#pragma once

#include <algorithm>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/context.hpp"
#include "kernels/cuda/launch.cuh"

namespace metascale::cuda {

// Gradients that sums are added to, with what tells whether they hold anything yet.
template <typename T, int Count>
struct ColumnSums {
  T* sums[Count];  // (columns) each; nullptr: not wanted
  bool fresh[Count];
};

// Where groups of rows leave their sums. One group adds to the gradients at once.
template <typename T, int Count>
struct GroupSums {
  ColumnSums<T, Count> to;
  T* partial;  // (Count, groups, columns)
  std::int64_t groups, columns;

  __device__ void keep(int sum, std::int64_t group, std::int64_t column, T total) const {
    if (!to.sums[sum]) return;
    if (groups == 1)
      accumulate(to.sums[sum][column], total, to.fresh[sum]);
    else
      partial[(sum * groups + group) * columns + column] = total;
  }
};

// As many groups as keep a large GPU busy, with a few rows for each of a group's `lanes`; by sizes
// alone, so that bits do not depend on the GPU.
template <typename T, int Count>
GroupSums<T, Count> group_sums(const CudaQueue& queue, const ColumnSums<T, Count>& to,
                               std::int64_t rows, std::int64_t columns, std::int64_t lanes,
                               std::int64_t blocks_per_group) {
  constexpr std::int64_t least_rows_of_lane = 8, wanted_blocks = 1024, most_groups = 256,
                         most_bytes = std::int64_t(8) << 20;
  const std::int64_t bytes = Count * columns * std::int64_t(sizeof(T));  // of a group
  const std::int64_t groups =
      std::min({rows / (lanes * least_rows_of_lane),
                wanted_blocks / std::max<std::int64_t>(blocks_per_group, 1), most_groups,
                most_bytes / std::max<std::int64_t>(bytes, 1)});
  const bool is_one = groups < 1 || columns == 0;
  GroupSums<T, Count> sums{to, nullptr, is_one ? 1 : groups, columns};
  if (sums.groups > 1)
    sums.partial =
        reinterpret_cast<T*>(context_of(queue).scratch(std::size_t(sums.groups * bytes)));
  return sums;
}

inline constexpr int finish_lanes = 8;  // threads that share a column

// One block per 32 columns of one sum: lane l adds groups l, l + 8, ..., then the first adds the
// lanes.
template <typename T, int Count>
__global__ void add_groups(GroupSums<T, Count> of) {
  __shared__ T lanes[finish_lanes][warp_size];
  const int c = int(threadIdx.x), lane = int(threadIdx.y), sum = int(blockIdx.y);
  const std::int64_t column = std::int64_t(blockIdx.x) * warp_size + c;
  T total = 0;
  if (column < of.columns && of.to.sums[sum])
    for (std::int64_t group = lane; group < of.groups; group += finish_lanes)
      total += of.partial[(sum * of.groups + group) * of.columns + column];
  lanes[lane][c] = total;
  __syncthreads();
  if (lane != 0 || column >= of.columns || !of.to.sums[sum]) return;
  for (int l = 1; l < finish_lanes; ++l) total += lanes[l][c];
  accumulate(of.to.sums[sum][column], total, of.to.fresh[sum]);
}

template <typename T, int Count>
void finish_groups(const char* name, CUstream_st* stream, const GroupSums<T, Count>& sums) {
  if (sums.groups == 1) return;
  const Grid grid{.blocks = dim3(groups(sums.columns, warp_size), Count),
                  .threads = dim3(warp_size, finish_lanes)};
  launch(name, add_groups<T, Count>, grid, stream, sums);
}

}  // namespace metascale::cuda
