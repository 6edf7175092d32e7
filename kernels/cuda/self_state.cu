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
using cuda::LaneNumbers;
using cuda::numbers;
using cuda::read;
using cuda::store;

constexpr double query_epsilon = 1e-6;

// A head of a row by a few lanes of a warp [head_lanes.cuh].
template <typename Lanes, typename S, typename T>
struct Query {
  static constexpr int Width = Lanes::Width;
  S* q;
  T* inverse_norm;
  const S* c;
  std::int64_t heads, blocks, N;

  __device__ void operator()(std::int64_t r, std::int64_t h, bool exists) const {
    const std::int64_t from = (r * blocks + h % blocks) * N, to = (r * heads + h) * N;
    const std::int64_t channels = exists ? N : 0;
    LaneNumbers<Lanes, T> x = {};
    T squares = 0;
    Lanes::each(channels, [&](int i, std::int64_t n) {
      x[i] = read<T, Width>(c + from + n);
      for (int w = 0; w < Width; ++w) squares += x[i][w] * x[i][w];
    });
    const T inverse = 1 / std::sqrt(Lanes::sum(squares) + T(query_epsilon));
    Lanes::each(channels, [&](int i, std::int64_t n) {
      store(q + to + n, numbers<Width>([&](int w) { return x[i][w] * inverse; }));
    });
    if (exists && Lanes::lane() == 0) inverse_norm[r * heads + h] = inverse;
  }
};

// A block of N channels of a row by a few lanes, which add the gradients of the heads that read it.
template <typename Lanes, typename S, typename T>
struct QueryBackward {
  static constexpr int Width = Lanes::Width;
  S* dc;
  const S *dq, *q;
  const T* inverse_norm;
  std::int64_t heads, blocks, N;
  bool fresh;

  __device__ void operator()(std::int64_t r, std::int64_t block, bool exists) const {
    // As many for all blocks of the warp, whose lanes sum together; for some there is no reader.
    const std::int64_t readers = (heads + blocks - 1) / blocks;
    LaneNumbers<Lanes, T> sum = {};
    for (std::int64_t i = 0; i < readers; ++i) {
      const std::int64_t h = block + i * blocks, at = (r * heads + h) * N;
      const bool reads = exists && h < heads;
      const std::int64_t channels = reads ? N : 0;
      LaneNumbers<Lanes, T> above = {}, query = {};
      T along = 0;  // <q, dq>
      Lanes::each(channels, [&](int j, std::int64_t n) {
        above[j] = read<T, Width>(dq + at + n), query[j] = read<T, Width>(q + at + n);
        for (int w = 0; w < Width; ++w) along += query[j][w] * above[j][w];
      });
      along = Lanes::sum(along);
      const T inverse = reads ? inverse_norm[r * heads + h] : T(0);
      Lanes::each(channels, [&](int j, std::int64_t) {
        for (int w = 0; w < Width; ++w) sum[j][w] += (above[j][w] - query[j][w] * along) * inverse;
      });
    }
    Lanes::each(exists ? N : 0, [&](int j, std::int64_t n) {
      add_to(dc + (r * blocks + block) * N + n, sum[j], fresh);
    });
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
    const std::int64_t blocks = c.as<S, 2>().extents[1] / N;
    cuda::with_head_lanes(N, cuda::are_aligned(q, c),
                          [&, R = R, heads = heads, N = N]<typename Lanes>() {
                            cuda::launch_head_lanes<Lanes>(
                                "self_state_query_forward", queue.stream, R, heads,
                                Query<Lanes, S, T>{q.pointer<S>(), inverse_norm.pointer<T>(),
                                                   c.pointer<S>(), heads, blocks, N});
                          });
  });
}

void SelfStateQueryBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dc.dtype, [&]<typename S, typename T>() {
    const auto [R, heads, N] = q.as<S, 3>().extents;
    const std::int64_t blocks = dc.as<S, 2>().extents[1] / N;
    cuda::with_head_lanes(
        N, cuda::are_aligned(dc, dq, q), [&, R = R, heads = heads, N = N]<typename Lanes>() {
          cuda::launch_head_lanes<Lanes>(
              "self_state_query_backward", queue.stream, R, blocks,
              QueryBackward<Lanes, S, T>{dc.pointer<S>(), dq.pointer<S>(), q.pointer<S>(),
                                         inverse_norm.pointer<T>(), heads, blocks, N, dc.fresh});
        });
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
