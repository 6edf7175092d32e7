// A head of a row by a few lanes of a warp [head_lanes.cuh]; sums in f32 (f64 for f64 operands).
// Gradients of per-channel parameters are added up on the way [head_sum.cuh].
#include "kernels/time_mix.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/exponential.cuh"
#include "kernels/cuda/head_sum.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::LaneNumbers;
using cuda::numbers;
using cuda::read;
using cuda::store;

constexpr double least_norm = 1e-12;          // of u; shorter ones are not scaled to length 1
constexpr double epsilon_per_channel = 1e-5;  // of the norm of y: N times this

template <typename Lanes, typename S, typename T>
struct KeyOperands {
  static constexpr int Width = Lanes::Width;
  S *k, *a, *b;
  T* inverse_norm;
  const S *k_raw, *rate_logit;
  const T *k_k, *k_a;
  std::int64_t H, N;

  __device__ void operator()(std::int64_t r, std::int64_t h, bool exists) const {
    const std::int64_t at = (r * H + h) * N, channel = h * N, channels = exists ? N : 0;
    LaneNumbers<Lanes, T> raw = {}, u = {};
    T squares = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      raw[c] = read<T, Width>(k_raw + at + n);
      const auto by = read<T, Width>(k_k + channel + n);
      u[c] = numbers<Width>([&](int w) { return raw[c][w] * by[w]; });
      for (int w = 0; w < Width; ++w) squares += u[c][w] * u[c][w];
    });
    const T length = std::sqrt(Lanes::sum(squares));
    const T inverse = 1 / (length > T(least_norm) ? length : T(least_norm));
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const auto logit = read<T, Width>(rate_logit + at + n);
      const auto share = read<T, Width>(k_a + channel + n);
      const auto rate = numbers<Width>([&](int w) { return cuda::sigmoid<S>(logit[w]); });
      const auto kap = numbers<Width>([&](int w) { return u[c][w] * inverse; });
      store(k + at + n,
            numbers<Width>([&](int w) { return raw[c][w] * (1 + (rate[w] - 1) * share[w]); }));
      store(a + at + n, numbers<Width>([&](int w) { return -kap[w]; }));
      store(b + at + n, numbers<Width>([&](int w) { return kap[w] * rate[w]; }));
    });
    if (exists && Lanes::lane() == 0) inverse_norm[r * H + h] = inverse;
  }
};

// v = v_raw + (v_first - v_raw) nu
template <typename S, typename T>
struct MixValues {
  S* v;
  const S *v_raw, *v_first, *value_logit;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto raw = read<T, Width>(v_raw + i), of_first = read<T, Width>(v_first + i);
    const auto logit = read<T, Width>(value_logit + i);
    store(v + i, numbers<Width>([&](int w) {
            return raw[w] + (of_first[w] - raw[w]) * cuda::sigmoid<S>(logit[w]);
          }));
  }
};

template <typename S, typename T>
struct MixValuesBackward {
  S *dv_raw, *dv_first, *dvalue_logit;
  bool fresh_raw, fresh_first, fresh_logit;
  const S *dv, *v_raw, *v_first, *value_logit;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto above = read<T, Width>(dv + i), raw = read<T, Width>(v_raw + i);
    const auto of_first = read<T, Width>(v_first + i), logit = read<T, Width>(value_logit + i);
    const auto nu = numbers<Width>([&](int w) { return cuda::sigmoid<S>(logit[w]); });
    add_to(dv_raw + i, numbers<Width>([&](int w) { return above[w] * (1 - nu[w]); }), fresh_raw);
    add_to(dv_first + i, numbers<Width>([&](int w) { return above[w] * nu[w]; }), fresh_first);
    add_to(dvalue_logit + i, numbers<Width>([&](int w) {
             return above[w] * (of_first[w] - raw[w]) * nu[w] * (1 - nu[w]);
           }),
           fresh_logit);
  }
};

template <typename S>
struct Gradient {
  S* data;
  bool fresh;
  template <typename T, int Width>
  __device__ void add(std::int64_t i, const cuda::Numbers<T, Width>& summands) const {
    add_to(data + i, summands, fresh);
  }
};

template <typename S>
Gradient<S> gradient(const Tensor& tensor) {
  return {tensor.pointer<S>(), tensor.fresh};
}

// Sums: dk_k and dk_a.
template <typename Lanes, typename S, typename T>
struct KeyOperandsBackward {
  static constexpr int Width = Lanes::Width;
  Gradient<S> dk_raw, drate_logit;
  const S *dk, *da, *db, *k_raw, *rate_logit;
  const T *inverse_norm, *k_k, *k_a;
  std::int64_t H, N;

  __device__ void operator()(cuda::LaneSums<Lanes, T, 2>& sums, std::int64_t r, std::int64_t h,
                             bool exists) const {
    const std::int64_t at = (r * H + h) * N, parameter = h * N, channels = exists ? N : 0;
    const T inverse = exists ? inverse_norm[r * H + h] : T(0);
    LaneNumbers<Lanes, T> raw = {}, rate = {}, kap = {}, dkap = {}, above_b = {};
    T along = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const auto logit = read<T, Width>(rate_logit + at + n), above_a = read<T, Width>(da + at + n);
      const auto by = read<T, Width>(k_k + parameter + n);
      raw[c] = read<T, Width>(k_raw + at + n), above_b[c] = read<T, Width>(db + at + n);
      rate[c] = numbers<Width>([&](int w) { return cuda::sigmoid<S>(logit[w]); });
      kap[c] = numbers<Width>([&](int w) { return raw[c][w] * by[w] * inverse; });
      dkap[c] = numbers<Width>([&](int w) { return above_b[c][w] * rate[c][w] - above_a[w]; });
      for (int w = 0; w < Width; ++w) along += kap[c][w] * dkap[c][w];
    });
    along = Lanes::sum(along);
    // Where |u| was below the least norm, kap = u / 1e-12 is linear in u.
    if (inverse >= T(1 / least_norm)) along = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const auto by = read<T, Width>(k_k + parameter + n),
                 share = read<T, Width>(k_a + parameter + n);
      const auto above = read<T, Width>(dk + at + n);
      const auto du =
          numbers<Width>([&](int w) { return (dkap[c][w] - kap[c][w] * along) * inverse; });
      dk_raw.add(at + n, numbers<Width>([&](int w) {
                   return above[w] * (1 + (rate[c][w] - 1) * share[w]) + du[w] * by[w];
                 }));
      drate_logit.add(at + n, numbers<Width>([&](int w) {
                        const T drate = above_b[c][w] * kap[c][w] + above[w] * raw[c][w] * share[w];
                        return drate * rate[c][w] * (1 - rate[c][w]);
                      }));
      for (int w = 0; w < Width; ++w) {
        sums[0][c][w] += du[w] * raw[c][w];
        sums[1][c][w] += above[w] * raw[c][w] * (rate[c][w] - 1);
      }
    });
  }
};

template <typename Lanes, typename S, typename T>
struct Output {
  static constexpr int Width = Lanes::Width;
  S *out, *yhat;
  T* scale;
  const S *y, *r, *k, *v, *gate;
  const T *weight, *bias, *bonus;
  std::int64_t H, N;

  __device__ void operator()(std::int64_t row, std::int64_t h, bool exists) const {
    const std::int64_t at = (row * H + h) * N, channel = h * N, channels = exists ? N : 0;
    LaneNumbers<Lanes, T> normed = {};  // y, at first
    T sum = 0, s = 0, squares = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      normed[c] = read<T, Width>(y + at + n);
      const auto of_r = read<T, Width>(r + at + n), of_k = read<T, Width>(k + at + n);
      const auto by = read<T, Width>(bonus + channel + n);
      for (int w = 0; w < Width; ++w) {
        sum += normed[c][w];
        s += of_r[w] * of_k[w] * by[w];
      }
    });
    const T mean = Lanes::sum(sum) / T(N);
    s = Lanes::sum(s);
    Lanes::each(channels, [&](int c, std::int64_t) {
      for (int w = 0; w < Width; ++w) {
        normed[c][w] -= mean;
        squares += normed[c][w] * normed[c][w];
      }
    });
    const T inverse = 1 / std::sqrt(Lanes::sum(squares) / T(N) + T(N) * T(epsilon_per_channel));
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const auto of_v = read<T, Width>(v + at + n), of_gate = read<T, Width>(gate + at + n);
      const auto by = read<T, Width>(weight + channel + n),
                 shift = read<T, Width>(bias + channel + n);
      for (int w = 0; w < Width; ++w) normed[c][w] *= inverse;
      store(yhat + at + n, normed[c]);
      store(out + at + n, numbers<Width>([&](int w) {
              return (normed[c][w] * by[w] + shift[w] + s * of_v[w]) * of_gate[w];
            }));
    });
    if (exists && Lanes::lane() == 0) scale[row * H + h] = inverse;
  }
};

// Sums: dbonus, dweight and dbias.
template <typename Lanes, typename S, typename T>
struct OutputBackward {
  static constexpr int Width = Lanes::Width;
  Gradient<S> dy, dr, dk, dv, dgate;
  const S* dout;
  const S* dyhat;  // nullptr: nothing else reads yhat
  const S *yhat, *r, *k, *v, *gate;
  const T *scale, *weight, *bias, *bonus;
  std::int64_t H, N;

  __device__ void operator()(cuda::LaneSums<Lanes, T, 3>& sums, std::int64_t row, std::int64_t h,
                             bool exists) const {
    const std::int64_t at = (row * H + h) * N, parameter = h * N, channels = exists ? N : 0;
    LaneNumbers<Lanes, T> above = {}, dnormed = {}, normed = {}, of_r = {}, of_k = {}, of_v = {};
    T s = 0, ds = 0;  // the bonus of this row and its gradient
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const std::int64_t i = at + n;
      const auto by = read<T, Width>(bonus + parameter + n), of_gate = read<T, Width>(gate + i);
      above[c] = read<T, Width>(dout + i), normed[c] = read<T, Width>(yhat + i);
      of_r[c] = read<T, Width>(r + i), of_k[c] = read<T, Width>(k + i);
      of_v[c] = read<T, Width>(v + i);
      dnormed[c] = numbers<Width>([&](int w) { return above[c][w] * of_gate[w]; });
      for (int w = 0; w < Width; ++w) {
        s += of_r[c][w] * of_k[c][w] * by[w];
        ds += dnormed[c][w] * of_v[c][w];
      }
    });
    s = Lanes::sum(s);
    ds = Lanes::sum(ds);
    LaneNumbers<Lanes, T> g = {};  // dL/dyhat
    T sum = 0, product = 0;
    Lanes::each(channels, [&](int c, std::int64_t n) {
      const std::int64_t i = at + n, p = parameter + n;
      const auto by = read<T, Width>(weight + p), shift = read<T, Width>(bias + p);
      const auto of_bonus = read<T, Width>(bonus + p);
      dgate.add(i, numbers<Width>([&](int w) {
                  return above[c][w] * (normed[c][w] * by[w] + shift[w] + s * of_v[c][w]);
                }));
      dv.add(i, numbers<Width>([&](int w) { return s * dnormed[c][w]; }));
      dr.add(i, numbers<Width>([&](int w) { return ds * of_k[c][w] * of_bonus[w]; }));
      dk.add(i, numbers<Width>([&](int w) { return ds * of_r[c][w] * of_bonus[w]; }));
      g[c] = numbers<Width>([&](int w) { return dnormed[c][w] * by[w]; });
      if (dyhat) {
        const auto other = read<T, Width>(dyhat + i);
        for (int w = 0; w < Width; ++w) g[c][w] = other[w] + g[c][w];
      }
      for (int w = 0; w < Width; ++w) {
        sums[0][c][w] += ds * of_r[c][w] * of_k[c][w];
        sums[1][c][w] += dnormed[c][w] * normed[c][w];
        sums[2][c][w] += dnormed[c][w];
        sum += g[c][w];
        product += g[c][w] * normed[c][w];
      }
    });
    const T mean = Lanes::sum(sum) / T(N), mean_product = Lanes::sum(product) / T(N);
    const T by = exists ? scale[row * H + h] : T(0);
    Lanes::each(channels, [&](int c, std::int64_t n) {
      dy.add(at + n, numbers<Width>([&](int w) {
               return by * (g[c][w] - mean - normed[c][w] * mean_product);
             }));
    });
  }
};

}  // namespace

void TimeMixOperandsForward::on(CudaQueue& queue) const {
  cuda::with_storage(k_raw.dtype, [&]<typename S, typename T>() {
    const auto [R, A] = k_raw.as<S, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1];
    const bool aligned = cuda::are_aligned(k, a, b, k_raw, rate_logit, k_k, k_a);
    cuda::with_head_lanes(A / H, aligned, [&]<typename Lanes>() {
      cuda::launch_head_lanes<Lanes>(
          "time_mix_operands_forward", queue.stream, R, H,
          KeyOperands<Lanes, S, T>{k.pointer<S>(), a.pointer<S>(), b.pointer<S>(),
                                   inverse_norm.pointer<T>(), k_raw.pointer<S>(),
                                   rate_logit.pointer<S>(), k_k.pointer<T>(), k_a.pointer<T>(), H,
                                   A / H});
    });
    if (v.exists())
      cuda::launch_packs("time_mix_values_forward", queue.stream, v.size(),
                         cuda::are_aligned(v, v_raw, v_first, value_logit),
                         MixValues<S, T>{v.pointer<S>(), v_raw.pointer<S>(), v_first.pointer<S>(),
                                         value_logit.pointer<S>()});
  });
}

void TimeMixOperandsBackward::on(CudaQueue& queue) const {
  cuda::with_storage(k_raw.dtype, [&]<typename S, typename T>() {
    const auto [R, A] = k_raw.as<S, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1];
    const bool aligned =
        cuda::are_aligned(dk_raw, drate_logit, dk, da, db, k_raw, rate_logit, k_k, k_a);
    cuda::with_head_lanes(A / H, aligned, [&]<typename Lanes>() {
      cuda::launch_head_sums<Lanes, T, 2>(
          "time_mix_operands_backward", queue,
          {{dk_k.pointer<T>(), dk_a.pointer<T>()}, {dk_k.fresh, dk_a.fresh}}, R, H, A / H,
          KeyOperandsBackward<Lanes, S, T>{
              gradient<S>(dk_raw), gradient<S>(drate_logit), dk.pointer<S>(), da.pointer<S>(),
              db.pointer<S>(), k_raw.pointer<S>(), rate_logit.pointer<S>(),
              inverse_norm.pointer<T>(), k_k.pointer<T>(), k_a.pointer<T>(), H, A / H});
    });
    if (dv.exists())
      cuda::launch_packs(
          "time_mix_values_backward", queue.stream, dv.size(),
          cuda::are_aligned(dv, v_raw, v_first, value_logit, dv_raw, dv_first, dvalue_logit),
          MixValuesBackward<S, T>{dv_raw.pointer<S>(), dv_first.pointer<S>(),
                                  dvalue_logit.pointer<S>(), dv_raw.fresh, dv_first.fresh,
                                  dvalue_logit.fresh, dv.pointer<S>(), v_raw.pointer<S>(),
                                  v_first.pointer<S>(), value_logit.pointer<S>()});
  });
}

void TimeMixOutputForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    const auto [R, H, N] = y.as<S, 3>().extents;
    const bool aligned = cuda::are_aligned(out, yhat, y, r, k, v, gate, weight, bias, bonus);
    cuda::with_head_lanes(N, aligned, [&, R = R, H = H, N = N]<typename Lanes>() {
      cuda::launch_head_lanes<Lanes>(
          "time_mix_output_forward", queue.stream, R, H,
          Output<Lanes, S, T>{out.pointer<S>(), yhat.pointer<S>(), scale.pointer<T>(),
                              y.pointer<S>(), r.pointer<S>(), k.pointer<S>(), v.pointer<S>(),
                              gate.pointer<S>(), weight.pointer<T>(), bias.pointer<T>(),
                              bonus.pointer<T>(), H, N});
    });
  });
}

void TimeMixOutputBackward::on(CudaQueue& queue) const {
  cuda::with_storage(yhat.dtype, [&]<typename S, typename T>() {
    const auto [R, H, N] = yhat.as<S, 3>().extents;
    const bool aligned = cuda::are_aligned(dy, dr, dk, dv, dgate, dout, dyhat, yhat, r, k, v, gate,
                                           weight, bias, bonus);
    cuda::with_head_lanes(N, aligned, [&, R = R, H = H, N = N]<typename Lanes>() {
      cuda::launch_head_sums<Lanes, T, 3>(
          "time_mix_output_backward", queue,
          {{dbonus.pointer<T>(), dweight.pointer<T>(), dbias.pointer<T>()},
           {dbonus.fresh, dweight.fresh, dbias.fresh}},
          R, H, N,
          OutputBackward<Lanes, S, T>{
              gradient<S>(dy), gradient<S>(dr), gradient<S>(dk), gradient<S>(dv),
              gradient<S>(dgate), dout.pointer<S>(), dyhat.pointer<S>(), yhat.pointer<S>(),
              r.pointer<S>(), k.pointer<S>(), v.pointer<S>(), gate.pointer<S>(), scale.pointer<T>(),
              weight.pointer<T>(), bias.pointer<T>(), bonus.pointer<T>(), H, N});
    });
  });
}

}  // namespace metascale
