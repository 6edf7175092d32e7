// One warp per head of a row, each lane up to four channels; sums in f32 (f64 for f64 operands).
// Gradients of per-channel parameters: one block per head goes through all rows.
#include "kernels/time_mix.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/head_sum.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::lane_channels;
using cuda::stored;

constexpr double least_norm = 1e-12;          // of u; shorter ones are not scaled to length 1
constexpr double epsilon_per_channel = 1e-5;  // of the norm of y: N times this

template <typename T>
__device__ T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

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
      const T raw = k_raw[at + n], rate = sigmoid(T(rate_logit[at + n]));
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
  __device__ void operator()(std::int64_t i) const {
    const T raw = v_raw[i];
    v[i] = stored<S>(raw + (T(v_first[i]) - raw) * sigmoid(T(value_logit[i])));
  }
};

template <typename S, typename T>
struct MixValuesBackward {
  S *dv_raw, *dv_first, *dvalue_logit;
  bool fresh_raw, fresh_first, fresh_logit;
  const S *dv, *v_raw, *v_first, *value_logit;
  __device__ void operator()(std::int64_t i) const {
    const T nu = sigmoid(T(value_logit[i])), above = dv[i];
    const T difference = T(v_first[i]) - T(v_raw[i]);
    add_to(dv_raw[i], above * (1 - nu), fresh_raw);
    add_to(dv_first[i], above * nu, fresh_first);
    add_to(dvalue_logit[i], above * difference * nu * (1 - nu), fresh_logit);
  }
};

// What both passes of the backward need of one head of a row.
template <typename S, typename T>
struct KeyGradients {
  const S *dk, *da, *db, *k_raw, *rate_logit;
  const T *inverse_norm, *k_k, *k_a;
  std::int64_t H, N;

  struct Channel {
    T raw, rate, kap, dkap, above;  // above: dk
  };
  __device__ Channel channel(std::int64_t at, std::int64_t parameter, T inverse) const {
    const T raw = k_raw[at], rate = sigmoid(T(rate_logit[at]));
    return {raw, rate, raw * k_k[parameter] * inverse, T(db[at]) * rate - T(da[at]), T(dk[at])};
  }

  // body(c, n, channel, du) for the lane's channels of head h of row r.
  template <typename Body>
  __device__ void each(std::int64_t r, std::int64_t h, Body&& body) const {
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
      body(c, n, mine[c], (mine[c].dkap - mine[c].kap * along) * inverse);
    });
  }
};

template <typename S, typename T>
struct KeyOperandsBackward {
  S *dk_raw, *drate_logit;
  bool fresh_raw, fresh_logit;
  KeyGradients<S, T> of;

  __device__ void operator()(std::int64_t r, std::int64_t h) const {
    of.each(r, h, [&](int, std::int64_t n, const auto& channel, T du) {
      const std::int64_t at = (r * of.H + h) * of.N + n, parameter = h * of.N + n;
      const auto [raw, rate, kap, dkap, above] = channel;
      const T k_a = of.k_a[parameter];
      add_to(dk_raw[at], above * (1 + (rate - 1) * k_a) + du * of.k_k[parameter], fresh_raw);
      const T drate = T(of.db[at]) * kap + above * raw * k_a;
      add_to(drate_logit[at], drate * rate * (1 - rate), fresh_logit);
    });
  }
};

// dk_k and dk_a.
template <typename S, typename T>
struct KeyParameters {
  KeyGradients<S, T> of;
  __device__ void operator()(cuda::LaneSums<T, 2>& sums, std::int64_t r, std::int64_t h) const {
    of.each(r, h, [&](int c, std::int64_t, const auto& channel, T du) {
      sums[0][c] += du * channel.raw;
      sums[1][c] += channel.above * channel.raw * (channel.rate - 1);
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

template <typename S, typename T>
struct OutputInputs {
  const S* dout;
  const S* dyhat;  // nullptr: nothing else reads yhat
  const S *yhat, *r, *k, *v, *gate;
  const T *scale, *weight, *bias, *bonus;
  std::int64_t H, N;

  __device__ T dnormed(std::int64_t at) const { return T(dout[at]) * T(gate[at]); }
};

template <typename S, typename T>
struct OutputBackward {
  Gradient<S> dy, dr, dk, dv, dgate;
  OutputInputs<S, T> of;

  __device__ void operator()(std::int64_t row, std::int64_t h) const {
    const std::int64_t at = (row * of.H + h) * of.N, channel = h * of.N;
    const auto [s, ds] = bonus_sums(at, channel);
    T g[lane_channels], sum = 0, product = 0;  // g: dL/dyhat
    each_channel(of.N, [&, s = s, ds = ds](int c, std::int64_t n) {
      const std::int64_t i = at + n, p = channel + n;
      const T above = of.dout[i], dnormed = of.dnormed(i), normed = of.yhat[i];
      const T r = of.r[i], k = of.k[i], v = of.v[i], bonus = of.bonus[p];
      dgate.add(i, above * (normed * of.weight[p] + of.bias[p] + s * v));
      dv.add(i, s * dnormed);
      dr.add(i, ds * k * bonus);
      dk.add(i, ds * r * bonus);
      g[c] = (of.dyhat ? T(of.dyhat[i]) : T(0)) + dnormed * of.weight[p];
      sum += g[c];
      product += g[c] * normed;
    });
    const T mean = cuda::warp_sum(sum) / T(of.N), mean_product = cuda::warp_sum(product) / T(of.N);
    const T scale = of.scale[row * of.H + h];
    each_channel(of.N, [&](int c, std::int64_t n) {
      dy.add(at + n, scale * (g[c] - mean - T(of.yhat[at + n]) * mean_product));
    });
  }

  struct BonusSums {
    T s, ds;
  };
  __device__ BonusSums bonus_sums(std::int64_t at, std::int64_t channel) const {
    T s = 0, ds = 0;
    each_channel(of.N, [&](int, std::int64_t n) {
      s += T(of.r[at + n]) * T(of.k[at + n]) * of.bonus[channel + n];
      ds += of.dnormed(at + n) * T(of.v[at + n]);
    });
    return {cuda::warp_sum(s), cuda::warp_sum(ds)};
  }
};

// dbonus, dweight and dbias.
template <typename S, typename T>
struct OutputParameters {
  OutputInputs<S, T> of;
  __device__ void operator()(cuda::LaneSums<T, 3>& sums, std::int64_t row, std::int64_t h) const {
    const std::int64_t at = (row * of.H + h) * of.N;
    T ds = 0;
    each_channel(of.N, [&](int c, std::int64_t n) {
      const T dnormed = of.dnormed(at + n);
      ds += dnormed * T(of.v[at + n]);
      sums[1][c] += dnormed * T(of.yhat[at + n]);
      sums[2][c] += dnormed;
    });
    ds = cuda::warp_sum(ds);
    each_channel(
        of.N, [&](int c, std::int64_t n) { sums[0][c] += ds * T(of.r[at + n]) * T(of.k[at + n]); });
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
      cuda::launch_elements("time_mix_values_forward", queue.stream, v.size(),
                            MixValues<S, T>{v.pointer<S>(), v_raw.pointer<S>(),
                                            v_first.pointer<S>(), value_logit.pointer<S>()});
  });
}

void TimeMixOperandsBackward::on(CudaQueue& queue) const {
  cuda::with_storage(k_raw.dtype, [&]<typename S, typename T>() {
    const auto [R, A] = k_raw.as<S, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1], N = A / H;
    const KeyGradients<S, T> of{dk.pointer<S>(),
                                da.pointer<S>(),
                                db.pointer<S>(),
                                k_raw.pointer<S>(),
                                rate_logit.pointer<S>(),
                                inverse_norm.pointer<T>(),
                                k_k.pointer<T>(),
                                k_a.pointer<T>(),
                                H,
                                N};
    cuda::launch_heads("time_mix_operands_backward", queue.stream, R, H,
                       KeyOperandsBackward<S, T>{dk_raw.pointer<S>(), drate_logit.pointer<S>(),
                                                 dk_raw.fresh, drate_logit.fresh, of});
    cuda::launch_head_sums<T, 2>("time_mix_operands_backward_parameters", queue.stream,
                                 {{dk_k.pointer<T>(), dk_a.pointer<T>()}, {dk_k.fresh, dk_a.fresh}},
                                 R, H, N, KeyParameters<S, T>{of});
    if (dv.exists())
      cuda::launch_elements(
          "time_mix_values_backward", queue.stream, dv.size(),
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
    const OutputInputs<S, T> of{dout.pointer<S>(),
                                dyhat.pointer<S>(),
                                yhat.pointer<S>(),
                                r.pointer<S>(),
                                k.pointer<S>(),
                                v.pointer<S>(),
                                gate.pointer<S>(),
                                scale.pointer<T>(),
                                weight.pointer<T>(),
                                bias.pointer<T>(),
                                bonus.pointer<T>(),
                                H,
                                N};
    cuda::launch_heads("time_mix_output_backward", queue.stream, R, H,
                       OutputBackward<S, T>{gradient<S>(dy), gradient<S>(dr), gradient<S>(dk),
                                            gradient<S>(dv), gradient<S>(dgate), of});
    cuda::launch_head_sums<T, 3>("time_mix_output_backward_parameters", queue.stream,
                                 {{dbonus.pointer<T>(), dweight.pointer<T>(), dbias.pointer<T>()},
                                  {dbonus.fresh, dweight.fresh, dbias.fresh}},
                                 R, H, N, OutputParameters<S, T>{of});
  });
}

}  // namespace metascale
