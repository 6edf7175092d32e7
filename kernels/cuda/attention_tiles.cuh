// What attention's kernels on ordinary cores are made of: tiles of queries, keys and weights in
// shared memory, and the square of 16 x 16 threads over them. A thread owns the rows row + 16 i and
// the columns column
// + 16 j of a tile, so that no sum meets in memory.
#pragma once

#include "kernels/cuda/attention_operands.cuh"
#include "kernels/cuda/block.cuh"

namespace metascale::cuda::attention {

inline constexpr int side = 16;  // of the square of threads
inline constexpr int threads = side * side;

// Queries, and keys, of a tile: in f32 all tiles of a backward fit in the 99 KiB of shared memory
// that every GPU since sm_80 gives a block.
template <typename T, int N>
inline constexpr int tile_of = N * sizeof(T) > 256 ? 32 : 64;

// A tile in shared memory, a column wider than it holds: neighbours in a column lie in other banks.
template <typename T, int Rows, int Columns>
struct Tile {
  static constexpr int stride = Columns + 1, size = Rows * stride;
  T* data;

  __device__ T& operator()(int row, int column) const { return data[row * stride + column]; }
};

// Which thread this is of the square, and what its block works on.
struct Place : HeadTile {
  int row, column;

  __device__ Place(std::int64_t tiles, std::int64_t H, bool last_first)
      : HeadTile(tiles, H, last_first),
        row(int(threadIdx.x) / side),
        column(int(threadIdx.x) % side) {}
};

// Rows [first, first + Rows) of a head, widened; 0 where there are none.
template <typename S, typename T, int Rows, int N>
__device__ void load(const Tile<T, Rows, N>& to, const Head<const S>& from, std::int64_t first) {
  for (int i = int(threadIdx.x); i < Rows * N; i += threads) {
    const int row = i / N, column = i % N;
    const bool exists = first + row < from.rows && column < from.width;
    to(row, column) = exists ? T(from.at(first + row, column)) : T(0);
  }
}

// sums_ij += sum_n a(row_i, n) b(column_j, n) over the rows of both tiles
template <typename T, int Size, int N>
__device__ void add_dots(T (&sums)[Size / side][Size / side], const Tile<T, Size, N>& a,
                         const Tile<T, Size, N>& b, const Place& place) {
  constexpr int R = Size / side;
  for (int n = 0; n < N; ++n) {
    T left[R], right[R];
    for (int i = 0; i < R; ++i) left[i] = a(place.row + side * i, n);
    for (int j = 0; j < R; ++j) right[j] = b(place.column + side * j, n);
    for (int i = 0; i < R; ++i)
      for (int j = 0; j < R; ++j) sums[i][j] += left[i] * right[j];
  }
}

// sums_ic += sum_j weights(row_i, j) values(j, column_c), the weights transposed where asked
template <bool Transposed, typename T, int Size, int N>
__device__ void add_products(T (&sums)[Size / side][N / side], const Tile<T, Size, Size>& weights,
                             const Tile<T, Size, N>& values, const Place& place) {
  constexpr int R = Size / side, C = N / side;
  for (int j = 0; j < Size; ++j) {
    T left[R], right[C];
    for (int i = 0; i < R; ++i) {
      const int row = place.row + side * i;
      left[i] = Transposed ? weights(j, row) : weights(row, j);
    }
    for (int c = 0; c < C; ++c) right[c] = values(j, place.column + side * c);
    for (int i = 0; i < R; ++i)
      for (int c = 0; c < C; ++c) sums[i][c] += left[i] * right[c];
  }
}

// Of the 16 threads of a row of the square: half a warp.
template <typename T>
__device__ T row_sum(T value) {
  for (int offset = side / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}
template <typename T>
__device__ T row_largest(T value) {
  for (int offset = side / 2; offset > 0; offset /= 2) {
    const T other = __shfl_xor_sync(0xffffffffu, value, offset);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace metascale::cuda::attention
