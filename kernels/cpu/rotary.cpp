#include "kernels/rotary.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"

namespace metascale {
namespace {

constexpr std::int64_t pairs_block = 32;  // channel pairs turned at a time
constexpr std::int64_t token_block = 64;  // tokens between exact sines

struct Turn {
  std::int64_t rotated, first_position;
  double base;
  double direction;  // +1 forward, -1 back
};

// Cosines and sines of up to pairs_block angles that advance a token at a time. Sines are exact at
// the first token of a block and follow by rotation (error below 64 roundings of f64): a sine per
// element would cost more than everything else here.
struct Angles {
  double cos[pairs_block], sin[pairs_block], step_cos[pairs_block], step_sin[pairs_block];

  Angles(const Turn& turn, std::int64_t first_pair, std::int64_t pairs, std::int64_t token) {
    for (std::int64_t j = 0; j < pairs; ++j) {
      const double frequency = turn.direction * std::pow(turn.base, -2.0 * double(first_pair + j) /
                                                                        double(turn.rotated));
      const double angle = double(turn.first_position + token) * frequency;
      cos[j] = std::cos(angle), sin[j] = std::sin(angle);
      step_cos[j] = std::cos(frequency), step_sin[j] = std::sin(frequency);
    }
  }
};

// What the angles are now, and on by one token.
template <typename T>
METASCALE_MULTIVERSION void take_and_advance(Angles& angles, T* __restrict cosines,
                                             T* __restrict sines, std::int64_t pairs) {
  for (std::int64_t j = 0; j < pairs; ++j) {
    const double c = angles.cos[j], s = angles.sin[j];
    cosines[j] = T(c), sines[j] = T(s);
    angles.cos[j] = c * angles.step_cos[j] - s * angles.step_sin[j];
    angles.sin[j] = s * angles.step_cos[j] + c * angles.step_sin[j];
  }
}

template <typename T>
struct Heads {  // of one token, N channels each
  T* to;
  const T* from;
  std::int64_t count, N;
  std::int64_t half;  // channels between the partners of a pair
};

template <bool fresh, typename T>
[[gnu::always_inline]] inline void turn_pairs(const Heads<T>& heads, const T* __restrict cosines,
                                              const T* __restrict sines, std::int64_t pairs) {
  for (std::int64_t h = 0; h < heads.count; ++h) {
    const T *x = heads.from + h * heads.N, *partner = x + heads.half;
    T* __restrict low = heads.to + h * heads.N;
    T* __restrict high = low + heads.half;
    for (std::int64_t j = 0; j < pairs; ++j) {
      const T a = x[j] * cosines[j] - partner[j] * sines[j];
      const T b = partner[j] * cosines[j] + x[j] * sines[j];
      low[j] = fresh ? a : low[j] + a;
      high[j] = fresh ? b : high[j] + b;
    }
  }
}

template <typename T>
METASCALE_MULTIVERSION void turn_token(const Heads<T>& heads, const T* cosines, const T* sines,
                                       std::int64_t pairs, bool fresh) {
  if (fresh)
    turn_pairs<true>(heads, cosines, sines, pairs);
  else
    turn_pairs<false>(heads, cosines, sines, pairs);
}

// Turns tokens [begin, end) of all sequences and heads.
template <typename T>
void turn_tokens(const Tensor& to, const Tensor& from, const Turn& turn, std::int64_t begin,
                 std::int64_t end) {
  const auto [B, length, H, N] = from.as<T, 4>().extents;
  const std::int64_t half = turn.rotated / 2;
  T cosines[pairs_block], sines[pairs_block];
  for (std::int64_t pair = 0; pair < half; pair += pairs_block) {
    const std::int64_t pairs = std::min(pairs_block, half - pair);
    Angles angles(turn, pair, pairs, begin);
    for (std::int64_t t = begin; t < end; ++t) {
      take_and_advance(angles, cosines, sines, pairs);
      for (std::int64_t b = 0; b < B; ++b) {
        const std::int64_t offset = (b * length + t) * H * N + pair;
        turn_token<T>({to.pointer<T>() + offset, from.pointer<T>() + offset, H, N, half}, cosines,
                      sines, pairs, to.fresh);
      }
    }
  }
}

// The channels behind the turned ones, of row r = one head of one token.
template <typename T>
void pass_through(T* to, const T* from, std::int64_t count, bool fresh) {
  for (std::int64_t i = 0; i < count; ++i) accumulate(to[i], from[i], fresh);
}

void turn_heads(const Tensor& to, const Tensor& from, const Turn& turn, int threads) {
  with_float_type(from.dtype, [&]<typename T>() {
    const auto [B, length, H, N] = from.as<T, 4>().extents;
    const std::int64_t blocks = (length + token_block - 1) / token_block, T_ = length;
    parallel_for(threads, blocks, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t block = first; block < last; ++block)
        turn_tokens<T>(to, from, turn, block * token_block,
                       std::min((block + 1) * token_block, T_));
    });
    const std::int64_t left = N - turn.rotated;
    if (left == 0) return;
    parallel_for(threads, B * length * H, [&, N = N](std::int64_t first, std::int64_t last) {
      for (std::int64_t r = first; r < last; ++r) {
        const std::int64_t offset = r * N + turn.rotated;
        pass_through(to.pointer<T>() + offset, from.pointer<T>() + offset, left, to.fresh);
      }
    });
  });
}

}  // namespace

void RotaryForward::on(CpuQueue& queue) const {
  Tensor assigned = y;
  assigned.fresh = true;
  turn_heads(assigned, x, {rotated, first_position, base, +1}, queue.threads);
}

void RotaryBackward::on(CpuQueue& queue) const {
  turn_heads(dx, dy, {rotated, first_position, base, -1}, queue.threads);
}

void SplitHeadsForward::on(CpuQueue& queue) const {
  with_float_type(qkv.dtype, [&]<typename T>() {
    const std::int64_t N = q.shape[3];
    const T* from = qkv.pointer<T>();
    parallel_for(queue.threads, q.size() / N, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        std::copy_n(from + (3 * r + 0) * N, N, q.pointer<T>() + r * N);
        std::copy_n(from + (3 * r + 1) * N, N, k.pointer<T>() + r * N);
        std::copy_n(from + (3 * r + 2) * N, N, v.pointer<T>() + r * N);
      }
    });
  });
}

void SplitHeadsBackward::on(CpuQueue& queue) const {
  with_float_type(dqkv.dtype, [&]<typename T>() {
    const std::int64_t N = dq.shape[3];
    T* to = dqkv.pointer<T>();
    parallel_for(queue.threads, dq.size() / N, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        pass_through(to + (3 * r + 0) * N, dq.pointer<T>() + r * N, N, dqkv.fresh);
        pass_through(to + (3 * r + 1) * N, dk.pointer<T>() + r * N, N, dqkv.fresh);
        pass_through(to + (3 * r + 2) * N, dv.pointer<T>() + r * N, N, dqkv.fresh);
      }
    });
  });
}

}  // namespace metascale
