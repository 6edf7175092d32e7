// One thread per eight channels, or pairs of channels that turn together, of all heads of a token:
// they turn by the same angles. Angles are in f64: at position 10^5 one in f32 is wrong by 4e-3.
#include "kernels/rotary.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::numbers;
using cuda::read;
using cuda::store;

// Element i is channel j of a token's heads, j < N - rotated / 2: a pair where j < rotated / 2,
// else channel j + rotated / 2, which passes through.
template <typename S, typename T>
struct TurnHeads {
  S* to;
  const S* from;
  std::int64_t length, H, N, half, first_position;
  double log_base, direction;  // +1 forward, -1 back
  bool fresh;

  template <int Width>
  __device__ void at(std::int64_t i) const {
    const std::int64_t token = i / (N - half), j = i % (N - half);
    if (j >= half) return pass_through<Width>(token, j + half);
    const double position = double(first_position + token % length);
    cuda::Numbers<T, Width> c, s;
    for (int w = 0; w < Width; ++w) {
      const double angle =
          direction * position * std::exp(-log_base * double(j + w) / double(half));
      c[w] = T(std::cos(angle));
      s[w] = T(std::sin(angle));
    }
    for (std::int64_t h = 0; h < H; ++h) {
      const std::int64_t at = (token * H + h) * N + j;
      const auto first = read<T, Width>(from + at), second = read<T, Width>(from + at + half);
      add_to(to + at, numbers<Width>([&](int w) { return first[w] * c[w] - second[w] * s[w]; }),
             fresh);
      add_to(to + at + half,
             numbers<Width>([&](int w) { return second[w] * c[w] + first[w] * s[w]; }), fresh);
    }
  }

  template <int Width>
  __device__ void pass_through(std::int64_t token, std::int64_t channel) const {
    for (std::int64_t h = 0; h < H; ++h) {
      const std::int64_t at = (token * H + h) * N + channel;
      add_to(to + at, read<T, Width>(from + at), fresh);
    }
  }
};

// Element i of (rows, N): the three parts of a head stand one after the other in the fused tensor.
template <typename S, typename T>
struct Split {
  S* parts[3];
  const S* fused;
  std::int64_t N;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    for (int p = 0; p < 3; ++p)
      store(parts[p] + i, read<T, Width>(fused + (3 * (i / N) + p) * N + i % N));
  }
};

template <typename S, typename T>
struct Fuse {
  S* fused;
  const S* parts[3];
  std::int64_t N;
  bool fresh;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    for (int p = 0; p < 3; ++p)
      add_to(fused + (3 * (i / N) + p) * N + i % N, read<T, Width>(parts[p] + i), fresh);
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
    const bool packed = half % cuda::pack_width == 0 && cuda::has_packed_rows(N, to, from);
    cuda::launch_packs(
        name, stream, from.shape[0] * from.shape[1] * (N - half), packed,
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
  cuda::with_storage(qkv.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs(
        "split_heads_forward", queue.stream, q.size(),
        cuda::has_packed_rows(q.shape[3], q, k, v, qkv),
        Split<S, T>{
            {q.pointer<S>(), k.pointer<S>(), v.pointer<S>()}, qkv.pointer<S>(), q.shape[3]});
  });
}

void SplitHeadsBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dqkv.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("split_heads_backward", queue.stream, dq.size(),
                       cuda::has_packed_rows(dq.shape[3], dq, dk, dv, dqkv),
                       Fuse<S, T>{dqkv.pointer<S>(),
                                  {dq.pointer<S>(), dk.pointer<S>(), dv.pointer<S>()},
                                  dq.shape[3],
                                  dqkv.fresh});
  });
}

}  // namespace metascale
