// Sums over the rows of a matrix, one per column, in an order that does not change between runs:
// the gradients of weights and biases.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/queue.hpp"

namespace metascale::cuda {

inline constexpr int sum_columns = 8;  // 32 bytes of f32: what memory delivers at a time
inline constexpr int sum_lanes = 64;   // threads that share a column

// Sums gradients are added to, with what tells whether they hold anything yet.
template <typename T, int Count>
struct ColumnSums {
  T* sums[Count];  // (D) each
  bool fresh[Count];
};

// One block per 8 columns; lane l of a column adds rows l, l + 64, ..., then the first lane adds
// the lanes in order. term(row, column) gives the summands of all Count sums.
template <typename T, int Count, typename Term>
__global__ void add_column_sums(ColumnSums<T, Count> to, std::int64_t rows, std::int64_t columns,
                                Term term) {
  __shared__ T partial[Count][sum_lanes][sum_columns];
  const int c = int(threadIdx.x), lane = int(threadIdx.y);
  const std::int64_t column = std::int64_t(blockIdx.x) * sum_columns + c;
  T sum[Count] = {};
  if (column < columns)
    for (std::int64_t row = lane; row < rows; row += sum_lanes) {
      const std::array<T, Count> summands = term(row, column);
      for (int i = 0; i < Count; ++i) sum[i] += summands[std::size_t(i)];
    }
  for (int i = 0; i < Count; ++i) partial[i][lane][c] = sum[i];
  __syncthreads();
  if (lane >= Count || column >= columns || !to.sums[lane]) return;  // lane i finishes sum i
  T total = 0;
  for (int l = 0; l < sum_lanes; ++l) total += partial[lane][l][c];
  accumulate(to.sums[lane][column], total, to.fresh[lane]);
}

template <typename T, int Count, typename Term>
void launch_column_sums(const char* name, CUstream_st* stream, ColumnSums<T, Count> to,
                        std::int64_t rows, std::int64_t columns, Term term) {
  const Grid grid{.blocks = groups(columns, sum_columns), .threads = dim3(sum_columns, sum_lanes)};
  launch(name, add_column_sums<T, Count, Term>, grid, stream, to, rows, columns, term);
}

}  // namespace metascale::cuda
