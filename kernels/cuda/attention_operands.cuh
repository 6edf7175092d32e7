// The operands of attention's kernels, on ordinary cores and on tensor cores. S: how activations
// are stored, T: statistics.
#pragma once

#include "kernels/attention.hpp"
#include "kernels/cuda/launch.cuh"

namespace metascale::cuda::attention {

// Rows of `width` values of one head of one sequence of a (B, T, H, N) tensor.
template <typename S>
struct Head {
  S* data;
  std::int64_t stride, rows;
  int width;

  __device__ S& at(std::int64_t row, int column) const { return data[row * stride + column]; }
};

template <typename S>
struct Heads {
  S* data;
  std::int64_t rows, H;
  int width;

  explicit Heads(const Tensor& tensor)
      : data(tensor.pointer<S>()),
        rows(tensor.shape[1]),
        H(tensor.shape[2]),
        width(int(tensor.shape[3])) {}
  __device__ Head<S> of(std::int64_t b, std::int64_t h) const {
    return {data + (b * rows * H + h) * width, H * width, rows, width};
  }
};

// Which tile of which head and sequence a block works on.
struct HeadTile {
  std::int64_t tile, h, b;

  // last_first: the tiles with the most work are begun first.
  __device__ HeadTile(std::int64_t tiles, std::int64_t H, bool last_first) {
    const std::int64_t block = blockIdx.x, heads = gridDim.x / tiles;
    tile = last_first ? tiles - 1 - block / heads : block / heads;
    h = block % heads % H;
    b = block % heads / H;
  }
};

template <typename S, typename T>
struct ForwardOperands {
  Heads<S> y;
  T* lse;  // (B, H, T)
  Heads<const S> q, k, v;
  T scale;
  const std::int32_t* first;  // (B, T); nullptr: 0
};

// The first key that query t of a sequence of `rows` sees.
__device__ inline std::int64_t first_key(const std::int32_t* first, std::int64_t b,
                                         std::int64_t rows, std::int64_t t) {
  return first && t < rows ? first[b * rows + t] : 0;
}

template <typename S, typename T>
struct BackwardOperands {
  Heads<S> dq, dk, dv;
  bool fresh_q, fresh_k, fresh_v;
  Heads<const S> dy, y, q, k, v;
  const T* lse;  // (B, H, T)
  T scale;
  const std::int32_t* first;  // (B, T); nullptr: 0
};

template <typename S, typename T>
ForwardOperands<S, T> operands_of(const AttentionForward& op) {
  return {Heads<S>(op.y),
          op.lse.pointer<T>(),
          Heads<const S>(op.q),
          Heads<const S>(op.k),
          Heads<const S>(op.v),
          T(op.scale),
          op.first.pointer<std::int32_t>()};
}

template <typename S, typename T>
BackwardOperands<S, T> operands_of(const AttentionBackward& op) {
  return {Heads<S>(op.dq),       Heads<S>(op.dk),
          Heads<S>(op.dv),       op.dq.fresh,
          op.dk.fresh,           op.dv.fresh,
          Heads<const S>(op.dy), Heads<const S>(op.y),
          Heads<const S>(op.q),  Heads<const S>(op.k),
          Heads<const S>(op.v),  op.lse.pointer<T>(),
          T(op.scale),           op.first.pointer<std::int32_t>()};
}

// Calls body.operator()<N>() with the narrowest template that holds heads of this width.
template <typename Body>
void with_head_size(std::int64_t width, Body&& body) {
  if (width <= 16) return body.template operator()<16>();
  if (width <= 32) return body.template operator()<32>();
  if (width <= 64) return body.template operator()<64>();
  if (width <= 128) return body.template operator()<128>();
  throw Error(concat("attention on a GPU was given heads of ", width,
                     " channels, but it takes at most 128: use more, narrower heads"),
              ExitCode::run_failed);
}

}  // namespace metascale::cuda::attention
