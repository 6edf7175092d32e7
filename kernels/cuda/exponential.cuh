// e^x and what is made of it. Where results are stored in bf16 (S), by the units for special
// functions: a few instructions for some twenty, and an error of (1 + |x|) 2^-22 relative to the
// result, where the rounding of bf16 is 2^-9.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale::cuda {

inline constexpr float log2_e = 1.442695041f;

template <typename S, typename T>
__device__ T exponential(T x) {
  if constexpr (std::is_same_v<S, bfloat16>)
    return power_of_two(log2_e * x);
  else
    return std::exp(x);
}

// 1 / (1 + e^-x)
template <typename S, typename T>
__device__ T sigmoid(T x) {
  if constexpr (std::is_same_v<S, bfloat16>)
    return reciprocal(1 + exponential<S>(-x));
  else
    return 1 / (1 + std::exp(-x));
}

}  // namespace metascale::cuda
