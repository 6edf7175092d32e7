// What the threads of a warp or a block do together: sums in a fixed order, and shared memory.
#pragma once

#include <cuda_runtime.h>

namespace metascale::cuda {

inline constexpr int warp_size = 32;

// Which warp of its block, and lane of that, the calling thread is; blocks in x only.
__device__ inline int warp() { return int(threadIdx.x) / warp_size; }
__device__ inline int lane() { return int(threadIdx.x) % warp_size; }

// The total, given to every lane; the order of additions is that of a butterfly, on every run.
template <typename T>
__device__ T warp_sum(T value) {
  for (int offset = warp_size / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

// The total, given to every thread. The block must be whole warps, in x only.
template <typename T>
__device__ T block_sum(T value) {
  __shared__ T partial[warp_size];
  const int lane = int(threadIdx.x) % warp_size, warp = int(threadIdx.x) / warp_size;
  value = warp_sum(value);
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  value = warp_sum(lane < int(blockDim.x) / warp_size ? partial[lane] : T(0));
  __syncthreads();  // the next call writes partial again
  return value;
}

// The dynamic shared memory of the block, as an array of T (alignment at most 16).
template <typename T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_memory[];
  return reinterpret_cast<T*>(dynamic_shared_memory);
}

}  // namespace metascale::cuda
