// The state of one head of WKV7 in registers: a block of whole warps holds its P x P elements, each
// lane a tile of some rows and columns. Row i = value channel, column j = key channel. P is the
// head size N rounded up to 16, 32, 64 or 128; what lies beyond N is zero and stays so.
//
// A lane's columns are packs of 16 bytes, one pack of every lane side by side, so that a warp reads
// a vector of P channels from shared memory without bank conflicts, each pack in one instruction.
#pragma once

#include "kernels/cuda/block.cuh"

namespace metascale::cuda {

template <typename T, int Count>
struct alignas(sizeof(T) * Count) Pack {
  T x[Count];
};

// Sums of Count values over the Lanes lanes (powers of 2) whose numbers differ in the bits from
// Stride on; spread over them: the i-th of these lanes keeps Count / Lanes sums from number
// i (Count / Lanes) on, or, where there are fewer sums than lanes, sum i / (Lanes / Count).
template <int Count, int Lanes, int Stride, typename T, int Size>
__device__ void scatter_sums(T (&x)[Size]) {
  if constexpr (Lanes > 1) {
    constexpr int offset = Lanes / 2 * Stride;
    if constexpr (Count == 1) {
      x[0] += __shfl_xor_sync(0xffffffffu, x[0], offset);
      scatter_sums<1, Lanes / 2, Stride>(x);
    } else {
      const bool upper = (threadIdx.x & unsigned(offset)) != 0;
#pragma unroll
      for (int i = 0; i < Count / 2; ++i) {
        const T given = upper ? x[i] : x[i + Count / 2], kept = upper ? x[i + Count / 2] : x[i];
        x[i] = kept + __shfl_xor_sync(0xffffffffu, given, offset);
      }
      scatter_sums<Count / 2, Lanes / 2, Stride>(x);
    }
  }
}

template <typename T, int P>
struct Tile {
  static constexpr int rows = P == 16 ? 2 : P == 128 ? 8 : 4;
  static constexpr int columns = P == 16 ? 4 : 8;
  static constexpr int column_lanes = P / columns, row_lanes = warp_size / column_lanes;
  static constexpr int warps = P / (row_lanes * rows), threads = warps * warp_size;
  static constexpr int pack = 16 / int(sizeof(T));  // columns

  T s[rows][columns];

  static __device__ int column_lane() { return int(threadIdx.x) % column_lanes; }
  static __device__ int row_lane() { return int(threadIdx.x) % warp_size / column_lanes; }
  static __device__ int warp() { return int(threadIdx.x) / warp_size; }
  static __device__ int row(int i) { return (warp() * row_lanes + row_lane()) * rows + i; }
  static __device__ int column(int j) { return column_lane() * pack + column_distance(j); }
  static constexpr int column_distance(int j) {  // from the lane's first
    return j / pack * (pack * column_lanes) + j % pack;
  }

  // The lane's elements of a vector of P channels that lies on 16 bytes.
  static __device__ void read_columns(T (&x)[columns], const T* vector) {
#pragma unroll
    for (int j = 0; j < columns; j += pack) {
      const auto some = *reinterpret_cast<const Pack<T, pack>*>(vector + column(j));
#pragma unroll
      for (int i = 0; i < pack; ++i) x[j + i] = some.x[i];
    }
  }
  static __device__ void read_rows(T (&x)[rows], const T* vector) {
    constexpr int each = rows < pack ? rows : pack;
#pragma unroll
    for (int j = 0; j < rows; j += each) {
      const auto some = *reinterpret_cast<const Pack<T, each>*>(vector + row(j));
#pragma unroll
      for (int i = 0; i < each; ++i) x[j + i] = some.x[i];
    }
  }

  // Sums over all columns, one per row, from what each lane has summed over its own.
  static __device__ void write_row_sums(T* vector, T (&x)[rows]) {
    scatter_sums<rows, column_lanes, 1>(x);
    constexpr int kept = rows < column_lanes ? 1 : rows / column_lanes;
    constexpr int sharing = rows < column_lanes ? column_lanes / rows : 1;
    if (column_lane() % sharing != 0) return;
#pragma unroll
    for (int i = 0; i < kept; ++i) vector[row(column_lane() / sharing * kept + i)] = x[i];
  }
  // Sums over the rows of this warp, one per column.
  static __device__ void write_column_sums(T* vector, T (&x)[columns]) {
    scatter_sums<columns, row_lanes, column_lanes>(x);
    constexpr int kept = columns < row_lanes ? 1 : columns / row_lanes;
    constexpr int sharing = columns < row_lanes ? row_lanes / columns : 1;
    if (row_lane() % sharing != 0) return;
#pragma unroll
    for (int i = 0; i < kept; ++i) vector[column(row_lane() / sharing * kept + i)] = x[i];
  }

  // body(element, offset) for the lane's elements of a state (N, N) in global memory.
  template <typename Body>
  __device__ void each(int N, Body&& body) {
    // One address per row, and distances that are constants: 64 addresses would take the registers.
    int line = row(0) * N + column(0);
#pragma unroll
    for (int i = 0; i < rows; ++i, line += N)
#pragma unroll
      for (int j = 0; j < columns; ++j)
        if (row(i) < N && column(j) < N) body(s[i][j], line + column_distance(j));
  }
  __device__ void clear() {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j) s[i][j] = 0;
  }
  // From and to a state (N, N) that lies on 16 bytes; nullptr is a state of zeros.
  __device__ void load(const T* state, int N) {
    if (N == P && state) return read_whole(state);
    clear();
    if (state) each(N, [&](T& element, int offset) { element = state[offset]; });
  }
  __device__ void store(T* state, int N) {
    if (N == P) return write_whole(state);
    each(N, [&](const T& element, int offset) { state[offset] = element; });
  }

  // The lane's own tile to and from a place of P x P elements that belongs to the block.
  __device__ void keep(T* place) const {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; j += pack) *kept_pack(place, i, j) = pack_of(i, j);
  }
  __device__ void recall(T* place) {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; j += pack) set(i, j, *kept_pack(place, i, j));
  }

  // s = s diag(w) + u b^T + v k^T, of the vectors of one token.
  __device__ void update(const T* w, const T* u, const T* b, const T* v, const T* k) {
    T decay[columns], insert[columns], key[columns], erased[rows], value[rows];
    read_columns(decay, w);
    read_columns(insert, b);
    read_columns(key, k);
    read_rows(erased, u);
    read_rows(value, v);
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j)
        s[i][j] = s[i][j] * decay[j] + (erased[i] * insert[j] + value[i] * key[j]);
  }
  // s += x y^T
  __device__ void add_product(const T (&x)[rows], const T (&y)[columns]) {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j) s[i][j] += x[i] * y[j];
  }
  // This lane's part of s x and of s^T x.
  __device__ void times(T (&sums)[rows], const T (&x)[columns]) const {
#pragma unroll
    for (int i = 0; i < rows; ++i) {
      sums[i] = 0;
#pragma unroll
      for (int j = 0; j < columns; ++j) sums[i] += s[i][j] * x[j];
    }
  }
  __device__ void transposed_times(T (&sums)[columns], const T (&x)[rows]) const {
#pragma unroll
    for (int j = 0; j < columns; ++j) sums[j] = 0;
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; ++j) sums[j] += s[i][j] * x[i];
  }

 private:
  __device__ Pack<T, pack> pack_of(int i, int j) const {
    Pack<T, pack> some;
#pragma unroll
    for (int c = 0; c < pack; ++c) some.x[c] = s[i][j + c];
    return some;
  }
  __device__ void set(int i, int j, const Pack<T, pack>& some) {
#pragma unroll
    for (int c = 0; c < pack; ++c) s[i][j + c] = some.x[c];
  }
  static __device__ Pack<T, pack>* kept_pack(T* place, int i, int j) {
    return reinterpret_cast<Pack<T, pack>*>(place) + (i * columns + j) / pack * threads +
           threadIdx.x;
  }
  __device__ void read_whole(const T* state) {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; j += pack)
        set(i, j, *reinterpret_cast<const Pack<T, pack>*>(state + row(i) * P + column(j)));
  }
  __device__ void write_whole(T* state) const {
#pragma unroll
    for (int i = 0; i < rows; ++i)
#pragma unroll
      for (int j = 0; j < columns; j += pack)
        *reinterpret_cast<Pack<T, pack>*>(state + row(i) * P + column(j)) = pack_of(i, j);
  }
};

}  // namespace metascale::cuda
