// One thread per channel of a head, or per pair of channels that turn together. Angles are in f64:
// at position 10^5 one in f32 is wrong by 4e-3.
#include "kernels/rotary.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

// Element i is channel j of a row (one head of one token), j < N - rotated / 2: a pair where
// j < rotated / 2, else channel j + rotated / 2, which passes through.
template <typename S, typename T>
struct TurnHeads {
  S* to;
  const S* from;
  std::int64_t length, H, N, half, first_position;
  double log_base, direction;  // +1 forward, -1 back
  bool fresh;

  __device__ void operator()(std::int64_t i) const {
    const std::int64_t row = i / (N - half), j = i % (N - half);
    S* y = to + row * N + j;
    const S* x = from + row * N + j;
    const T second = x[half];
    if (j >= half) return cuda::add_to(y[half], second, fresh);
    const T first = x[0];
    const double position = double(first_position + row / H % length);
    const double angle = direction * position * std::exp(-log_base * double(j) / double(half));
    const T c = T(std::cos(angle)), s = T(std::sin(angle));
    cuda::add_to(y[0], first * c - second * s, fresh);
    cuda::add_to(y[half], second * c + first * s, fresh);
  }
};

// Element i of (rows, N): the three parts of a head stand one after the other in the fused tensor.
template <typename S>
struct Split {
  S* parts[3];
  const S* fused;
  std::int64_t N;
  __device__ void operator()(std::int64_t i) const {
    for (int p = 0; p < 3; ++p) parts[p][i] = fused[(3 * (i / N) + p) * N + i % N];
  }
};

template <typename S, typename T>
struct Fuse {
  S* fused;
  const S* parts[3];
  std::int64_t N;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    for (int p = 0; p < 3; ++p)
      cuda::add_to(fused[(3 * (i / N) + p) * N + i % N], T(parts[p][i]), fresh);
  }
};

struct Turn {
  std::int64_t rotated, first_position;
  double base, direction;
};

void turn_heads(const char* name, CUstream_st* stream, const Tensor& to, const Tensor& from,
                Turn turn, bool fresh) {
  cuda::with_storage(from.dtype, [&]<typename S, typename T>() {
    const std::int64_t N = from.shape[3], half = turn.rotated / 2;
    cuda::launch_elements(
        name, stream, from.size() / N * (N - half),
        TurnHeads<S, T>{to.pointer<S>(), from.pointer<S>(), from.shape[1], from.shape[2], N, half,
                        turn.first_position, std::log(turn.base), turn.direction, fresh});
  });
}

}  // namespace

void RotaryForward::on(CudaQueue& queue) const {
  turn_heads("rotary_forward", queue.stream, y, x, {rotated, first_position, base, +1}, true);
}

void RotaryBackward::on(CudaQueue& queue) const {
  turn_heads("rotary_backward", queue.stream, dx, dy, {rotated, first_position, base, -1},
             dx.fresh);
}

void SplitHeadsForward::on(CudaQueue& queue) const {
  cuda::with_storage(qkv.dtype, [&]<typename S, typename>() {
    cuda::launch_elements(
        "split_heads_forward", queue.stream, q.size(),
        Split<S>{{q.pointer<S>(), k.pointer<S>(), v.pointer<S>()}, qkv.pointer<S>(), q.shape[3]});
  });
}

void SplitHeadsBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dqkv.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("split_heads_backward", queue.stream, dq.size(),
                          Fuse<S, T>{dqkv.pointer<S>(),
                                     {dq.pointer<S>(), dk.pointer<S>(), dv.pointer<S>()},
                                     dq.shape[3],
                                     dqkv.fresh});
  });
}

}  // namespace metascale
