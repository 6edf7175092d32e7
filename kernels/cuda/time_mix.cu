// One warp per head of a row, each lane up to four channels; sums in f32 (f64 for f64 operands).
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
using cuda::lane_channels;
using cuda::numbers;
using cuda::read;
using cuda::store;
using cuda::stored;

constexpr double least_norm = 1e-12;          // of u; shorter ones are not scaled to length 1
constexpr double epsilon_per_channel = 1e-5;  // of the norm of y: N times this

// The channels of a head that the calling lane has: body(c, n) for its c-th, channel n.
template <typename Body>
__device__ void each_channel(std::int64_t N, Body&& body) {
#pragma unroll
  for (int c = 0; c < lane_channels; ++c) {
    const std::int64_t n = cuda::lane_of_warp() + cuda::warp_size * c;
    if (n < N) body(c, n);
  }
}

template <typename S, typename T>
struct KeyOperands {
  S *k, *a, *b;
  T* inverse_norm;
  const S *k_raw, *rate_logit;
  const T *k_k, *k_a;
  std::int64_t H, N;

  __device__ void operator()(std::int64_t r, std::int64_t h) const {
    const std::int64_t at = (r * H + h) * N, channel = h * N;
    T squares = 0;
    each_channel(N, [&](int, std::int64_t n) {
      const T u = T(k_raw[at + n]) * k_k[channel + n];
      squares += u * u;
    });
    const T length = std::sqrt(cuda::warp_sum(squares));
    const T inverse = 1 / (length > T(least_norm) ? length : T(least_norm));
    each_channel(N, [&](int, std::int64_t n) {
      const T raw = k_raw[at + n], rate = cuda::sigmoid<S>(T(rate_logit[at + n]));
      const T kap = raw * k_k[channel + n] * inverse;
      k[at + n] = stored<S>(raw * (1 + (rate - 1) * k_a[channel + n]));
      a[at + n] = stored<S>(-kap);
      b[at + n] = stored<S>(kap * rate);
    });
    if (cuda::lane_of_warp() == 0) inverse_norm[r * H + h] = inverse;
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
  template <typename T>
  __device__ void add(std::int64_t i, T value) const {
    add_to(data[i], value, fresh);
  }
};

template <typename S>
Gradient<S> gradient(const Tensor& tensor) {
  return {tensor.pointer<S>(), tensor.fresh};
}

// Sums: dk_k and dk_a.
template <typename S, typename T>
struct KeyOperandsBackward {
  Gradient<S> dk_raw, drate_logit;
  const S *dk, *da, *db, *k_raw, *rate_logit;
  const T *inverse_norm, *k_k, *k_a;
  std::int64_t H, N;

  struct Channel {
    T raw, rate, kap, dkap, above, through_b;  // above: dk; through_b: the rate's gradient
  };
  __device__ Channel channel(std::int64_t at, std::int64_t parameter, T inverse) const {
    const T raw = k_raw[at], rate = cuda::sigmoid<S>(T(rate_logit[at]));
    const T kap = raw * k_k[parameter] * inverse, above_b = db[at];
    return {raw, rate, kap, above_b * rate - T(da[at]), T(dk[at]), above_b * kap};
  }

  __device__ void operator()(cuda::LaneSums<T, 2>& sums, std::int64_t r, std::int64_t h) const {
    const std::int64_t at = (r * H + h) * N;
    const T inverse = inverse_norm[r * H + h];
    Channel mine[lane_channels] = {};
    T along = 0;
    each_channel(N, [&](int c, std::int64_t n) {
      mine[c] = channel(at + n, h * N + n, inverse);
      along += mine[c].kap * mine[c].dkap;
    });
    along = cuda::warp_sum(along);
    // Where |u| was below the least norm, kap = u / 1e-12 is linear in u.
    if (inverse >= T(1 / least_norm)) along = 0;
    each_channel(N, [&](int c, std::int64_t n) {
      const std::int64_t parameter = h * N + n;
      const auto [raw, rate, kap, dkap, above, through_b] = mine[c];
      const T du = (dkap - kap * along) * inverse, share = k_a[parameter];
      dk_raw.add(at + n, above * (1 + (rate - 1) * share) + du * k_k[parameter]);
      drate_logit.add(at + n, (through_b + above * raw * share) * rate * (1 - rate));
      sums[0][c] += du * raw;
      sums[1][c] += above * raw * (rate - 1);
    });
  }
};

template <typename S, typename T>
struct Output {
  S *out, *yhat;
  T* scale;
  const S *y, *r, *k, *v, *gate;
  const T *weight, *bias, *bonus;
  std::int64_t H, N;

  __device__ void operator()(std::int64_t row, std::int64_t h) const {
    const std::int64_t at = (row * H + h) * N, channel = h * N;
    T sum = 0, s = 0, squares = 0;
    each_channel(N, [&](int, std::int64_t n) {
      sum += T(y[at + n]);
      s += T(r[at + n]) * T(k[at + n]) * bonus[channel + n];
    });
    const T mean = cuda::warp_sum(sum) / T(N);
    s = cuda::warp_sum(s);
    each_channel(N, [&](int, std::int64_t n) {
      const T centred = T(y[at + n]) - mean;
      squares += centred * centred;
    });
    const T inverse = 1 / std::sqrt(cuda::warp_sum(squares) / T(N) + T(N) * T(epsilon_per_channel));
    each_channel(N, [&](int, std::int64_t n) {
      const T normed = (T(y[at + n]) - mean) * inverse;
      yhat[at + n] = stored<S>(normed);
      const T affine = normed * weight[channel + n] + bias[channel + n];
      out[at + n] = stored<S>((affine + s * T(v[at + n])) * T(gate[at + n]));
    });
    if (cuda::lane_of_warp() == 0) scale[row * H + h] = inverse;
  }
};

// Sums: dbonus, dweight and dbias.
template <typename S, typename T>
struct OutputBackward {
  Gradient<S> dy, dr, dk, dv, dgate;
  const S* dout;
  const S* dyhat;  // nullptr: nothing else reads yhat
  const S *yhat, *r, *k, *v, *gate;
  const T *scale, *weight, *bias, *bonus;
  std::int64_t H, N;

  struct Channel {
    T above, dnormed, normed, r, k, v;
  };
  __device__ Channel channel(std::int64_t at) const {
    const T above = dout[at];
    return {above, above * T(gate[at]), T(yhat[at]), T(r[at]), T(k[at]), T(v[at])};
  }

  __device__ void operator()(cuda::LaneSums<T, 3>& sums, std::int64_t row, std::int64_t h) const {
    const std::int64_t at = (row * H + h) * N, first = h * N;
    Channel mine[lane_channels] = {};
    T s = 0, ds = 0;  // the bonus of this row and its gradient
    each_channel(N, [&](int c, std::int64_t n) {
      mine[c] = channel(at + n);
      s += mine[c].r * mine[c].k * bonus[first + n];
      ds += mine[c].dnormed * mine[c].v;
    });
    s = cuda::warp_sum(s);
    ds = cuda::warp_sum(ds);
    T g[lane_channels], sum = 0, product = 0;  // g: dL/dyhat
    each_channel(N, [&](int c, std::int64_t n) {
      const auto& of = mine[c];
      const std::int64_t i = at + n, p = first + n;
      dgate.add(i, of.above * (of.normed * weight[p] + bias[p] + s * of.v));
      dv.add(i, s * of.dnormed);
      dr.add(i, ds * of.k * bonus[p]);
      dk.add(i, ds * of.r * bonus[p]);
      sums[0][c] += ds * of.r * of.k;
      sums[1][c] += of.dnormed * of.normed;
      sums[2][c] += of.dnormed;
      g[c] = (dyhat ? T(dyhat[i]) : T(0)) + of.dnormed * weight[p];
      sum += g[c];
      product += g[c] * of.normed;
    });
    const T mean = cuda::warp_sum(sum) / T(N), mean_product = cuda::warp_sum(product) / T(N);
    const T by = scale[row * H + h];
    each_channel(N, [&](int c, std::int64_t n) {
      dy.add(at + n, by * (g[c] - mean - mine[c].normed * mean_product));
    });
  }
};

}  // namespace

void TimeMixOperandsForward::on(CudaQueue& queue) const {
  cuda::with_storage(k_raw.dtype, [&]<typename S, typename T>() {
    const auto [R, A] = k_raw.as<S, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1];
    cuda::launch_heads(
        "time_mix_operands_forward", queue.stream, R, H,
        KeyOperands<S, T>{k.pointer<S>(), a.pointer<S>(), b.pointer<S>(), inverse_norm.pointer<T>(),
                          k_raw.pointer<S>(), rate_logit.pointer<S>(), k_k.pointer<T>(),
                          k_a.pointer<T>(), H, A / H});
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
    cuda::launch_head_sums<T, 2>(
        "time_mix_operands_backward", queue,
        {{dk_k.pointer<T>(), dk_a.pointer<T>()}, {dk_k.fresh, dk_a.fresh}}, R, H, A / H,
        KeyOperandsBackward<S, T>{gradient<S>(dk_raw), gradient<S>(drate_logit), dk.pointer<S>(),
                                  da.pointer<S>(), db.pointer<S>(), k_raw.pointer<S>(),
                                  rate_logit.pointer<S>(), inverse_norm.pointer<T>(),
                                  k_k.pointer<T>(), k_a.pointer<T>(), H, A / H});
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
    cuda::launch_heads(
        "time_mix_output_forward", queue.stream, R, H,
        Output<S, T>{out.pointer<S>(), yhat.pointer<S>(), scale.pointer<T>(), y.pointer<S>(),
                     r.pointer<S>(), k.pointer<S>(), v.pointer<S>(), gate.pointer<S>(),
                     weight.pointer<T>(), bias.pointer<T>(), bonus.pointer<T>(), H, N});
  });
}

void TimeMixOutputBackward::on(CudaQueue& queue) const {
  cuda::with_storage(yhat.dtype, [&]<typename S, typename T>() {
    const auto [R, H, N] = yhat.as<S, 3>().extents;
    cuda::launch_head_sums<T, 3>(
        "time_mix_output_backward", queue,
        {{dbonus.pointer<T>(), dweight.pointer<T>(), dbias.pointer<T>()},
         {dbonus.fresh, dweight.fresh, dbias.fresh}},
        R, H, N,
        OutputBackward<S, T>{gradient<S>(dy), gradient<S>(dr), gradient<S>(dk), gradient<S>(dv),
                             gradient<S>(dgate), dout.pointer<S>(), dyhat.pointer<S>(),
                             yhat.pointer<S>(), r.pointer<S>(), k.pointer<S>(), v.pointer<S>(),
                             gate.pointer<S>(), scale.pointer<T>(), weight.pointer<T>(),
                             bias.pointer<T>(), bonus.pointer<T>(), H, N});
  });
}

}  // namespace metascale
