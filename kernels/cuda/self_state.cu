// Sums are in f32 (f64 for f64 operands); every output is stored once.
#include "kernels/self_state.hpp"

#include <cmath>

#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/head_sum.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::numbers;
using cuda::read;
using cuda::store;

constexpr double query_epsilon = 1e-6;

// One warp per head of a row.
template <typename S, typename T>
struct Query {
  S* q;
  T* inverse_norm;
  const S* c;
  std::int64_t heads, blocks, N;

  __device__ void operator()(std::int64_t r, std::int64_t h) const {
    const S* from = c + (r * blocks + h % blocks) * N;
    S* to = q + (r * heads + h) * N;
    T squares = 0;
    for (std::int64_t n = cuda::lane_of_warp(); n < N; n += cuda::warp_size)
      squares += T(from[n]) * T(from[n]);
    const T inverse = 1 / std::sqrt(cuda::warp_sum(squares) + T(query_epsilon));
    for (std::int64_t n = cuda::lane_of_warp(); n < N; n += cuda::warp_size)
      to[n] = cuda::stored<S>(T(from[n]) * inverse);
    if (cuda::lane_of_warp() == 0) inverse_norm[r * heads + h] = inverse;
  }
};

// One warp per block of N channels of a row: it adds the gradients of the heads that read it.
template <typename S, typename T>
struct QueryBackward {
  S* dc;
  const S *dq, *q;
  const T* inverse_norm;
  std::int64_t heads, blocks, N;
  bool fresh;

  // <q, dq> of the head that starts at this element, in every lane.
  __device__ T along(std::int64_t at) const {
    T sum = 0;
    for (std::int64_t n = cuda::lane_of_warp(); n < N; n += cuda::warp_size)
      sum += T(q[at + n]) * T(dq[at + n]);
    return cuda::warp_sum(sum);
  }

  // Heads in groups of `kept`, so that <q, dq> is summed once per head and dc is stored once where,
  // as in every model so far, a block has no more readers.
  __device__ void operator()(std::int64_t r, std::int64_t block) const {
    constexpr int kept = 4;
    S* to = dc + (r * blocks + block) * N;
    bool first = fresh;
    for (std::int64_t h = block; h < heads || h == block; h += kept * blocks) {
      T alongs[kept], inverse[kept];
      for (int i = 0; i < kept; ++i) {
        const std::int64_t reader = h + i * blocks;
        if (reader >= heads) break;
        alongs[i] = along((r * heads + reader) * N);
        inverse[i] = inverse_norm[r * heads + reader];
      }
      for (std::int64_t n = cuda::lane_of_warp(); n < N; n += cuda::warp_size) {
        T sum = 0;
        for (int i = 0; i < kept && h + i * blocks < heads; ++i) {
          const std::int64_t at = (r * heads + h + i * blocks) * N + n;
          sum += (T(dq[at]) - T(q[at]) * alongs[i]) * inverse[i];
        }
        cuda::add_to(to[n], sum, first);
      }
      first = false;
    }
  }
};

// Packs lie within a block of N channels, so they are of one head.
template <typename S, typename T>
struct Mix {
  S* z;
  const S *c, *e;
  const T* gamma;
  std::int64_t D, N, heads, used;

  // Elements from i on of (R, D).
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const std::int64_t r = i / D, d = i % D, n = d % N;
    auto sum = read<T, Width>(c + i);
    for (std::int64_t h = d / N; h < used; h += D / N) {
      const auto weight = read<T, Width>(gamma + h * N + n);
      const auto read_out = read<T, Width>(e + (r * heads + h) * N + n);
      for (int w = 0; w < Width; ++w) sum[w] += weight[w] * read_out[w];
    }
    store(z + i, sum);
  }
};

template <typename S, typename T>
struct PassOn {
  S* dc;
  const S* dz;
  bool fresh;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    add_to(dc + i, read<T, Width>(dz + i), fresh);
  }
};

template <typename S, typename T>
struct MixBackward {
  S* de;
  const S* dz;
  const T* gamma;
  std::int64_t D, N, heads, used;
  bool fresh;

  // Elements from i on of (R, H, N).
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const std::int64_t n = i % N, h = i / N % heads, r = i / (N * heads);
    if (h < used) {
      const auto weight = read<T, Width>(gamma + h * N + n);
      const auto above = read<T, Width>(dz + r * D + h % (D / N) * N + n);
      add_to(de + i, numbers<Width>([&](int w) { return weight[w] * above[w]; }), fresh);
    } else if (fresh) {
      store(de + i, cuda::Numbers<T, Width>{});
    }
  }
};

// dgamma, read as one row of H_s N columns.
template <typename S, typename T>
struct GammaColumns {
  const S *dz, *e;
  std::int64_t D, N, heads;
  template <int Width>
  __device__ std::array<cuda::Numbers<T, Width>, 1> at(std::int64_t r, std::int64_t column) const {
    const std::int64_t h = column / N, n = column % N;
    const auto above = read<T, Width>(dz + r * D + h % (D / N) * N + n);
    const auto read_out = read<T, Width>(e + (r * heads + h) * N + n);
    return {numbers<Width>([&](int w) { return above[w] * read_out[w]; })};
  }
};

}  // namespace

void SelfStateQueryForward::on(CudaQueue& queue) const {
  cuda::with_storage(c.dtype, [&]<typename S, typename T>() {
    const auto [R, heads, N] = q.as<S, 3>().extents;
    const std::int64_t blocks = c.size() / (R * N);
    cuda::launch_heads(
        "self_state_query_forward", queue.stream, R, heads,
        Query<S, T>{q.pointer<S>(), inverse_norm.pointer<T>(), c.pointer<S>(), heads, blocks, N});
  });
}

void SelfStateQueryBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dc.dtype, [&]<typename S, typename T>() {
    const auto [R, heads, N] = q.as<S, 3>().extents;
    const std::int64_t blocks = dc.size() / (R * N);
    cuda::launch_heads("self_state_query_backward", queue.stream, R, blocks,
                       QueryBackward<S, T>{dc.pointer<S>(), dq.pointer<S>(), q.pointer<S>(),
                                           inverse_norm.pointer<T>(), heads, blocks, N, dc.fresh});
  });
}

void SelfStateMixForward::on(CudaQueue& queue) const {
  cuda::with_storage(c.dtype, [&]<typename S, typename T>() {
    const auto [R, heads, N] = e.as<S, 3>().extents;
    cuda::launch_packs("self_state_mix_forward", queue.stream, z.size(),
                       cuda::has_packed_rows(N, z, c, e, gamma),
                       Mix<S, T>{z.pointer<S>(), c.pointer<S>(), e.pointer<S>(), gamma.pointer<T>(),
                                 z.as<S, 2>().extents[1], N, heads, gamma.shape[0]});
  });
}

void SelfStateMixBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dz.dtype, [&]<typename S, typename T>() {
    const auto [R, heads, N] = e.as<S, 3>().extents;
    const std::int64_t D = dz.as<S, 2>().extents[1], used = gamma.shape[0];
    const bool packed = cuda::has_packed_rows(N, dz, e, gamma);
    cuda::launch_packs("self_state_mix_backward_c", queue.stream, dz.size(),
                       cuda::are_aligned(dc, dz),
                       PassOn<S, T>{dc.pointer<S>(), dz.pointer<S>(), dc.fresh});
    cuda::launch_packs("self_state_mix_backward_e", queue.stream, de.size(),
                       packed && cuda::are_aligned(de),
                       MixBackward<S, T>{de.pointer<S>(), dz.pointer<S>(), gamma.pointer<T>(), D, N,
                                         heads, used, de.fresh});
    cuda::launch_column_sums<T, 1>(
        "self_state_mix_backward_gamma", queue, {{dgamma.pointer<T>()}, {dgamma.fresh}}, R,
        used * N, packed, GammaColumns<S, T>{dz.pointer<S>(), e.pointer<S>(), D, N, heads});
  });
}

}  // namespace metascale
