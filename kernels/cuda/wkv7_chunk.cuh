// The vectors of 16 tokens of one head in shared memory, as the WKV7 scans read them, and what
// their launches have in common.
#pragma once

#include <cmath>
#include <limits>

#include "kernels/cuda/exponential.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/storage.cuh"
#include "kernels/cuda/wkv7_tile.cuh"
#include "kernels/wkv7.hpp"

namespace metascale::cuda {

inline constexpr int chunk = int(wkv7_checkpoint);  // tokens

// Where the vectors of the tensors (B, T, H, N) lie.
struct WkvExtent {
  std::int64_t tokens, heads;
  int N;

  __device__ std::int64_t stride() const { return heads * N; }  // from a token to the next
  __device__ std::int64_t chunks() const { return (tokens + chunk - 1) / chunk; }
  // Token t of a head of a sequence.
  __device__ std::int64_t vector(std::int64_t sequence, std::int64_t t, std::int64_t head) const {
    return ((sequence * tokens + t) * heads + head) * N;
  }
};

inline WkvExtent wkv_extent(const Tensor& vectors) {
  return {vectors.shape[1], vectors.shape[2], int(vectors.shape[3])};
}

inline std::int64_t chunks_of(const Tensor& vectors) {
  return (vectors.shape[1] + chunk - 1) / chunk;
}

template <typename T>
inline constexpr T wkv_decay_rate = T(0.6065306597126334);  // e^{-1/2}

// w of a decay logit, 0 for infinity, and dw/dd.
template <typename T>
__device__ T wkv_decay(T logit) {
  if (logit == std::numeric_limits<T>::infinity()) return 0;
  return std::exp(-wkv_decay_rate<T> * sigmoid<T>(logit));
}
template <typename T>
__device__ T wkv_decay_slope(T logit) {
  const T sigma = sigmoid<T>(logit);
  return -wkv_decay_rate<T> * sigma * sigmoid<T>(-logit) * std::exp(-wkv_decay_rate<T> * sigma);
}

// to (16, P) = the vectors of `count` tokens from `from` on, changed by `change`, and zeros.
template <typename T, int P, typename S, typename Change>
__device__ void load_vectors(T* to, const S* from, std::int64_t stride, int count, int N,
                             Change&& change) {
#pragma unroll
  for (int e = int(threadIdx.x); e < chunk * P; e += Tile<T, P>::threads) {
    const int t = e / P, j = e % P;
    to[e] = t < count && j < N ? change(T(from[t * stride + j])) : T(0);
  }
}

struct AsItIs {
  template <typename T>
  __device__ T operator()(T x) const {
    return x;
  }
};

template <typename T, int P, typename S>
__device__ void load_vectors(T* to, const S* from, std::int64_t stride, int count, int N) {
  load_vectors<T, P>(to, from, stride, count, N, AsItIs{});
}

// w (16, P) from decay logits.
template <typename T, int P, typename S>
__device__ void load_decays(T* to, const S* from, std::int64_t stride, int count, int N) {
  load_vectors<T, P>(to, from, stride, count, N, [](T logit) { return wkv_decay(logit); });
}

// The vectors of `count` tokens in global memory from (16, P) in shared memory.
template <typename T, int P, typename S>
__device__ void store_vectors(S* to, const T* from, std::int64_t stride, int count, int N) {
#pragma unroll
  for (int e = int(threadIdx.x); e < chunk * P; e += Tile<T, P>::threads) {
    const int t = e / P, j = e % P;
    if (t < count && j < N) to[t * stride + j] = stored<S>(from[e]);
  }
}

// Calls body.operator()<S, T, P>() for vectors (B, T, H, N): their storage, and the tile that holds
// their heads.
template <typename Body>
void with_tile(const Tensor& vectors, Body&& body) {
  const std::int64_t N = vectors.shape[3];
  with_storage(vectors.dtype, [&]<typename S, typename T>() {
    if (N <= 16) return body.template operator()<S, T, 16>();
    if (N <= 32) return body.template operator()<S, T, 32>();
    if (N <= 64) return body.template operator()<S, T, 64>();
    return body.template operator()<S, T, 128>();  // check() refuses more
  });
}

// Blocks of a tile's threads with so many elements of T in shared memory.
template <typename T, int P>
Grid tile_grid(std::int64_t blocks, std::size_t elements) {
  return {.blocks = groups(blocks, 1),
          .threads = Tile<T, P>::threads,
          .shared_bytes = elements * sizeof(T)};
}

inline std::int64_t heads_of(const Tensor& vectors) { return vectors.shape[0] * vectors.shape[2]; }

}  // namespace metascale::cuda
