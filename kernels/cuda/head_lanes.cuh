// How the lanes of a warp share heads: a few lanes with packs of eight channels each, so that a
// warp has several heads of a row, or all lanes a channel at a time where a head is no whole packs.
#pragma once

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/packs.cuh"

namespace metascale::cuda {

inline constexpr int largest_head = 128;  // channels

// Lanes: of a head, a power of two. A lane has Packs packs of Width channels.
template <int Lanes, int Width_, int Packs_>
struct HeadLanes {
  static constexpr int Width = Width_, Packs = Packs_, heads = warp_size / Lanes;
  static constexpr int channels = heads * Lanes * Width * Packs;  // of a warp

  static __device__ int lane() { return int(threadIdx.x) % Lanes; }
  // Which of the warp's heads the calling lane has.
  static __device__ int head() { return int(threadIdx.x) % warp_size / Lanes; }

  // body(c, n) for the lane's packs of a head of N channels: the c-th, from channel n on.
  template <typename Body>
  static __device__ void each(std::int64_t N, Body&& body) {
#pragma unroll
    for (int c = 0; c < Packs; ++c) {
      const std::int64_t n = std::int64_t(lane() + Lanes * c) * Width;
      if (n < N) body(c, n);
    }
  }
  // The total over the head, given to each of its lanes. To be called by whole warps.
  template <typename T>
  static __device__ T sum(T value) {
#pragma unroll
    for (int offset = Lanes / 2; offset > 0; offset /= 2)
      value += __shfl_xor_sync(0xffffffffu, value, offset);
    return value;
  }
};

// A lane's channels of one head.
template <typename Lanes, typename T>
using LaneNumbers = Numbers<T, Lanes::Width>[Lanes::Packs];

// Calls body.operator()<Lanes>() with what suits heads of N channels. Throws Error{run_failed}
// where they are too wide.
template <typename Body>
void with_head_lanes(std::int64_t N, bool aligned, Body&& body) {
  if (N > largest_head)
    throw Error(
        concat("an operator on a GPU was given heads of ", N, " channels, but it takes at most ",
               largest_head, ": use more, narrower heads"),
        ExitCode::run_failed);
  if (N == 64 && aligned) return body.template operator()<HeadLanes<8, pack_width, 1>>();
  body.template operator()<HeadLanes<warp_size, 1, largest_head / warp_size>>();
}

inline constexpr int head_warps = 4;  // of a block

template <typename Lanes, typename Body>
__global__ void each_head_lanes(std::int64_t rows, std::int64_t heads, Body body) {
  const std::int64_t shares = (heads + Lanes::heads - 1) / Lanes::heads;
  const std::int64_t i = std::int64_t(blockIdx.x) * head_warps + threadIdx.x / warp_size;
  if (i >= rows * shares) return;
  const std::int64_t head = i % shares * Lanes::heads + Lanes::head();
  body(i / shares, head, head < heads);
}

// body(row, head, exists): called by whole warps, with each lane's head; there may be none.
template <typename Lanes, typename Body>
void launch_head_lanes(const char* name, CUstream_st* stream, std::int64_t rows, std::int64_t heads,
                       Body body) {
  const std::int64_t shares = (heads + Lanes::heads - 1) / Lanes::heads;
  const Grid grid{.blocks = groups(rows * shares, head_warps), .threads = head_warps * warp_size};
  launch(name, each_head_lanes<Lanes, Body>, grid, stream, rows, heads, body);
}

}  // namespace metascale::cuda
