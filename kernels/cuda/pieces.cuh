// What kernels on tensor cores are made of: products of 16 x 16 pieces of bf16 matrices in shared
// memory, and pairs of neighbours. A piece is given by its first element and the step from a row to
// the next, both on 16 bytes.
#pragma once

#include <cstring>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/packs.cuh"

namespace metascale::cuda {

// Place in a fragment's layout [fragments.cuh].
__device__ inline int group() { return lane() / 4; }
__device__ inline int quarter() { return lane() % 4; }
__device__ inline int row_of(int i) { return group() + i / 2 * 8; }
__device__ inline int column_of(int n, int i) { return 8 * n + 2 * quarter() + i % 2; }

// 16 x 16: B, and C.
struct SquareB {
  FragmentB n[2];
};
struct Square {
  FragmentC n[2] = {};
};

__device__ inline void multiply_add(Square& c, const FragmentA& a, const SquareB& b) {
  cuda::multiply_add(c.n[0], a, b.n[0]);
  cuda::multiply_add(c.n[1], a, b.n[1]);
}

// The piece (16, 16) at `m` of a matrix in shared memory as A = M or M^T, or as B.
__device__ inline FragmentA left(const bfloat16* m, int step) {
  FragmentA a;
  load_matrices(a.x, m + lane() % 16 * step + lane() / 16 * 8);
  return a;
}
__device__ inline FragmentA left_transposed(const bfloat16* m, int step) {
  FragmentA a;
  load_transposed_matrices(a.x, m + (lane() % 8 + lane() / 16 * 8) * step + lane() / 8 % 2 * 8);
  return a;
}
__device__ inline SquareB right(const bfloat16* m, int step) {
  unsigned x[4];
  load_transposed_matrices(x, m + lane() % 16 * step + lane() / 16 * 8);
  return {{{{x[0], x[1]}}, {{x[2], x[3]}}}};
}
__device__ inline SquareB right_transposed(const bfloat16* m, int step) {
  unsigned x[4];
  load_matrices(x, m + (lane() % 8 + lane() / 16 * 8) * step + lane() / 8 % 2 * 8);
  return {{{{x[0], x[1]}}, {{x[2], x[3]}}}};
}

__device__ inline unsigned packed(float first, float second) {
  const __nv_bfloat162 pair = __float22bfloat162_rn(make_float2(first, second));
  unsigned bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}
// Two neighbours, on 4 bytes.
__device__ inline void store_pair(bfloat16* to, float first, float second) {
  const unsigned bits = packed(first, second);
  Stored<bfloat16, 2> pair;
  std::memcpy(static_cast<void*>(&pair), &bits, sizeof bits);
  *reinterpret_cast<Stored<bfloat16, 2>*>(to) = pair;
}
__device__ inline float2 load_pair(const bfloat16* from) {
  const auto pair = read<float, 2>(from);
  return make_float2(pair[0], pair[1]);
}
// As add_to [storage.cuh], of two neighbours.
__device__ inline void add_pair_to(bfloat16* to, float first, float second, bool fresh) {
  const float2 before = fresh ? make_float2(0, 0) : load_pair(to);
  store_pair(to, before.x + first, before.y + second);
}
__device__ inline float rounded(float x) { return float(stored<bfloat16>(x)); }

// Two neighbouring pieces of a product as the operand of the next, rounded.
__device__ inline FragmentA as_left(const FragmentC& one, const FragmentC& next) {
  return {{packed(one.x[0], one.x[1]), packed(one.x[2], one.x[3]), packed(next.x[0], next.x[1]),
           packed(next.x[2], next.x[3])}};
}
__device__ inline FragmentA as_left(const Square& c) { return as_left(c.n[0], c.n[1]); }

}  // namespace metascale::cuda
