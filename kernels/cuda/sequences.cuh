// Tokens of sequences and what stands before each.
#pragma once

#include "kernels/cuda/packs.cuh"
#include "kernels/documents.hpp"

namespace metascale::cuda {

template <typename S, typename T>
struct Sequences {
  const S* x;
  EitherOf<S, T> previous;  // left out: zero
  Documents documents;
  std::int64_t D;

  // Channels from d on of the token before row r of (B*T).
  template <int Width>
  __device__ Numbers<T, Width> before(std::int64_t r, std::int64_t d) const {
    if (!documents.starts(r)) {
      if (r % documents.length != 0) return read<T, Width>(x + (r - 1) * D + d);
      if (previous.exists()) return read<Width>(previous, r / documents.length * D + d);
    }
    return Numbers<T, Width>{};
  }
};

// x (B, T, D); previous (B, D) and first (B, T) i32 may be left out.
template <typename S, typename T>
Sequences<S, T> sequences(const Tensor& x, const Tensor& previous, const Tensor& first) {
  return {x.pointer<S>(),
          EitherOf<S, T>(previous),
          {first.pointer<std::int32_t>(), x.shape[1]},
          x.shape[2]};
}

}  // namespace metascale::cuda
