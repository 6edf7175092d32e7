#include "kernels/time_mix.hpp"

#include <algorithm>
#include <cmath>

#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/head_sums.hpp"
#include "kernels/cpu/vector_math.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {
namespace {

constexpr double least_norm = 1e-12;          // of u; shorter ones are not scaled to length 1
constexpr double epsilon_per_channel = 1e-5;  // of the norm of y: N times this
constexpr std::int64_t max_head = wkv7_max_head;

template <typename T>
struct Gradient {
  T* data;
  bool fresh;

  // Where the gradient of these elements can be added to. A fresh one holds nothing yet and is made
  // zero: a choice within the loop would keep it from becoming vector code.
  T* begin(std::int64_t first, std::int64_t count) const {
    if (fresh) std::fill_n(data + first, count, T(0));
    return data + first;
  }
};

template <typename T>
Gradient<T> gradient(const Tensor& tensor) {
  return {tensor.pointer<T>(), tensor.fresh};
}

// The loops' pointers are to different tensors, except that a gradient may be added to by its own
// element only: omp simd says so.

template <typename T>
struct KeyOperands {
  T *k, *a, *b, *inverse_norm;
  const T *k_raw, *rate_logit, *k_k, *k_a;
};

// One head of one row. at: its first channel among the row's, channel: among the parameters.
template <typename T>
METASCALE_MULTIVERSION T key_operands(const KeyOperands<T>& p, std::int64_t at,
                                      std::int64_t channel, std::int64_t N) {
  const T *k_raw = p.k_raw + at, *rate_logit = p.rate_logit + at;
  const T *k_k = p.k_k + channel, *k_a = p.k_a + channel;
  T *k = p.k + at, *a = p.a + at, *b = p.b + at;
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t n = 0; n < N; ++n) {
    const T u = k_raw[n] * k_k[n];
    squares += u * u;
  }
  const T inverse = 1 / std::max(std::sqrt(squares), T(least_norm));
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) {
    const T rate = vector_sigmoid(rate_logit[n]);
    const T kap = k_raw[n] * k_k[n] * inverse;
    k[n] = k_raw[n] * (1 + (rate - 1) * k_a[n]);
    a[n] = -kap;
    b[n] = kap * rate;
  }
  return inverse;
}

// v = v_raw + (v_first - v_raw) nu
template <typename T>
METASCALE_MULTIVERSION void mix_values(T* v, const T* v_raw, const T* v_first, const T* value_logit,
                                       std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i)
    v[i] = v_raw[i] + (v_first[i] - v_raw[i]) * vector_sigmoid(value_logit[i]);
}

template <typename T>
struct ValueGradients {
  Gradient<T> dv_raw, dv_first, dvalue_logit;
  const T *dv, *v_raw, *v_first, *value_logit;
};

template <typename T>
METASCALE_MULTIVERSION void mix_values_backward(const ValueGradients<T>& p, std::int64_t begin,
                                                std::int64_t end) {
  const std::int64_t count = end - begin;
  T *dv_raw = p.dv_raw.begin(begin, count), *dv_first = p.dv_first.begin(begin, count),
    *dvalue_logit = p.dvalue_logit.begin(begin, count);
  const T *dv = p.dv + begin, *v_raw = p.v_raw + begin, *v_first = p.v_first + begin,
          *value_logit = p.value_logit + begin;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const T nu = vector_sigmoid(value_logit[i]);
    dv_raw[i] += dv[i] * (1 - nu);
    dv_first[i] += dv[i] * nu;
    dvalue_logit[i] += dv[i] * (v_first[i] - v_raw[i]) * nu * (1 - nu);
  }
}

template <typename T>
struct KeyGradients {
  Gradient<T> dk_raw, drate_logit;
  const T *dk, *da, *db, *inverse_norm, *k_raw, *rate_logit, *k_k, *k_a;
};

// One head of one row; adds the terms of dk_k and dk_a to the sums.
template <typename T>
METASCALE_MULTIVERSION void key_operands_backward(const KeyGradients<T>& p, std::int64_t at,
                                                  std::int64_t channel, std::int64_t N, T inverse,
                                                  T* dk_k, T* dk_a) {
  const T *k_raw = p.k_raw + at, *rate_logit = p.rate_logit + at, *dk = p.dk + at, *da = p.da + at,
          *db = p.db + at, *k_k = p.k_k + channel, *k_a = p.k_a + channel;
  T *dk_raw = p.dk_raw.begin(at, N), *drate_logit = p.drate_logit.begin(at, N);
  T rate[max_head], dkap[max_head], along = 0;
#pragma omp simd reduction(+ : along)
  for (std::int64_t n = 0; n < N; ++n) {
    rate[n] = vector_sigmoid(rate_logit[n]);
    dkap[n] = db[n] * rate[n] - da[n];
    along += k_raw[n] * k_k[n] * inverse * dkap[n];
  }
  // Where |u| was below the least norm, kap = u / 1e-12 is linear in u.
  if (inverse >= T(1 / least_norm)) along = 0;
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) {
    const T kap = k_raw[n] * k_k[n] * inverse, rate_n = rate[n];
    const T drate = db[n] * kap + dk[n] * k_raw[n] * k_a[n];
    const T du = (dkap[n] - kap * along) * inverse;
    dk_raw[n] += dk[n] * (1 + (rate_n - 1) * k_a[n]) + du * k_k[n];
    drate_logit[n] += drate * rate_n * (1 - rate_n);
    dk_k[n] += du * k_raw[n];
    dk_a[n] += dk[n] * k_raw[n] * (rate_n - 1);
  }
}

template <typename T>
struct Output {
  T *out, *yhat, *scale;
  const T *y, *r, *k, *v, *gate, *weight, *bias, *bonus;
};

// One head of one row; returns the scale of its norm.
template <typename T>
METASCALE_MULTIVERSION T output(const Output<T>& p, std::int64_t at, std::int64_t channel,
                                std::int64_t N) {
  const T *y = p.y + at, *r = p.r + at, *k = p.k + at, *v = p.v + at, *gate = p.gate + at;
  const T *weight = p.weight + channel, *bias = p.bias + channel, *bonus = p.bonus + channel;
  T *out = p.out + at, *yhat = p.yhat + at;
  T sum = 0, s = 0;
#pragma omp simd reduction(+ : sum, s)
  for (std::int64_t n = 0; n < N; ++n) {
    sum += y[n];
    s += r[n] * k[n] * bonus[n];
  }
  const T mean = sum / T(N);
  T squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t n = 0; n < N; ++n) squares += (y[n] - mean) * (y[n] - mean);
  const T scale = 1 / std::sqrt(squares / T(N) + T(N) * T(epsilon_per_channel));
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) {
    yhat[n] = (y[n] - mean) * scale;
    out[n] = (yhat[n] * weight[n] + bias[n] + s * v[n]) * gate[n];
  }
  return scale;
}

template <typename T>
struct OutputGradients {
  Gradient<T> dy, dr, dk, dv, dgate;
  const T* dout;
  const T* dyhat;  // nullptr: nothing else reads yhat
  const T *yhat, *scale, *r, *k, *v, *gate, *weight, *bias, *bonus;
};

// The first half of one head of one row: what the bonus and the gate get, and g = dL/dyhat.
template <typename T>
METASCALE_MULTIVERSION void bonus_backward(const OutputGradients<T>& p, std::int64_t at,
                                           std::int64_t channel, std::int64_t N, T* dbonus) {
  const T *dout = p.dout + at, *gate = p.gate + at, *yhat = p.yhat + at, *r = p.r + at,
          *k = p.k + at, *v = p.v + at;
  const T *weight = p.weight + channel, *bias = p.bias + channel, *bonus = p.bonus + channel;
  T *dr = p.dr.begin(at, N), *dk = p.dk.begin(at, N), *dv = p.dv.begin(at, N),
    *dgate = p.dgate.begin(at, N);
  T s = 0, ds = 0;
#pragma omp simd reduction(+ : s, ds)
  for (std::int64_t n = 0; n < N; ++n) {
    s += r[n] * k[n] * bonus[n];
    ds += dout[n] * gate[n] * v[n];
  }
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) {
    dgate[n] += dout[n] * (yhat[n] * weight[n] + bias[n] + s * v[n]);
    dv[n] += s * (dout[n] * gate[n]);
    dr[n] += ds * k[n] * bonus[n];
    dk[n] += ds * r[n] * bonus[n];
    dbonus[n] += ds * r[n] * k[n];
  }
}

// The second half: through the affine and the norm to y.
template <typename T>
METASCALE_MULTIVERSION void head_norm_backward(const OutputGradients<T>& p, std::int64_t at,
                                               std::int64_t channel, std::int64_t N, T scale,
                                               T* dweight, T* dbias) {
  const T *dout = p.dout + at, *gate = p.gate + at, *yhat = p.yhat + at;
  const T *weight = p.weight + channel, *more = p.dyhat ? p.dyhat + at : nullptr;
  T* dy = p.dy.begin(at, N);
  T g[max_head], sum = 0, product = 0;
  for (std::int64_t n = 0; n < N; ++n) g[n] = more ? more[n] : T(0);
#pragma omp simd reduction(+ : sum, product)
  for (std::int64_t n = 0; n < N; ++n) {
    const T dnormed = dout[n] * gate[n];
    dweight[n] += dnormed * yhat[n];
    dbias[n] += dnormed;
    g[n] += dnormed * weight[n];
    sum += g[n];
    product += g[n] * yhat[n];
  }
  const T mean = sum / T(N), mean_product = product / T(N);
#pragma omp simd
  for (std::int64_t n = 0; n < N; ++n) dy[n] += scale * (g[n] - mean - yhat[n] * mean_product);
}

}  // namespace

void TimeMixOperandsForward::on(CpuQueue& queue) const {
  with_float_type(k_raw.dtype, [&]<typename T>() {
    const auto [R, A] = k_raw.as<T, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1], N = A / H;
    const KeyOperands<T> keys{
        k.pointer<T>(),     a.pointer<T>(),          b.pointer<T>(),   inverse_norm.pointer<T>(),
        k_raw.pointer<T>(), rate_logit.pointer<T>(), k_k.pointer<T>(), k_a.pointer<T>()};
    parallel_for(queue.threads, R, [&, A = A](std::int64_t begin, std::int64_t end) {
      for (std::int64_t index = begin * H; index < end * H; ++index)
        keys.inverse_norm[index] = key_operands(keys, index * N, index % H * N, N);
      if (v.exists())
        mix_values<T>(v.pointer<T>(), v_raw.pointer<T>(), v_first.pointer<T>(),
                      value_logit.pointer<T>(), begin * A, end * A);
    });
  });
}

void TimeMixOperandsBackward::on(CpuQueue& queue) const {
  with_float_type(k_raw.dtype, [&]<typename T>() {
    const auto [R, A] = k_raw.as<T, 2>().extents;
    const std::int64_t H = inverse_norm.as<T, 2>().extents[1], N = A / H;
    const KeyGradients<T> keys{
        gradient<T>(dk_raw), gradient<T>(drate_logit),  dk.pointer<T>(),    da.pointer<T>(),
        db.pointer<T>(),     inverse_norm.pointer<T>(), k_raw.pointer<T>(), rate_logit.pointer<T>(),
        k_k.pointer<T>(),    k_a.pointer<T>()};
    sum_by_heads<2, T>(
        queue.threads, {R, H, N}, {dk_k.pointer<T>(), dk_a.pointer<T>()}, {dk_k.fresh, dk_a.fresh},
        [&](auto& partial, HeadRange heads) {
          for (std::int64_t h = heads.first; h < heads.last; ++h) {
            const std::int64_t index = heads.row * H + h, sum = (h - heads.first) * N;
            key_operands_backward(keys, index * N, h * N, N, keys.inverse_norm[index],
                                  partial[0] + sum, partial[1] + sum);
          }
        });
    if (!dv.exists()) return;
    const ValueGradients<T> values{
        gradient<T>(dv_raw), gradient<T>(dv_first), gradient<T>(dvalue_logit), dv.pointer<T>(),
        v_raw.pointer<T>(),  v_first.pointer<T>(),  value_logit.pointer<T>()};
    parallel_for(queue.threads, R, [&, A = A](std::int64_t begin, std::int64_t end) {
      mix_values_backward(values, begin * A, end * A);
    });
  });
}

void TimeMixOutputForward::on(CpuQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    const auto [R, H, N] = y.as<T, 3>().extents;
    const Output<T> rows{out.pointer<T>(),  yhat.pointer<T>(), scale.pointer<T>(),
                         y.pointer<T>(),    r.pointer<T>(),    k.pointer<T>(),
                         v.pointer<T>(),    gate.pointer<T>(), weight.pointer<T>(),
                         bias.pointer<T>(), bonus.pointer<T>()};
    parallel_for(queue.threads, R, [&, H = H, N = N](std::int64_t begin, std::int64_t end) {
      for (std::int64_t index = begin * H; index < end * H; ++index)
        rows.scale[index] = output(rows, index * N, index % H * N, N);
    });
  });
}

void TimeMixOutputBackward::on(CpuQueue& queue) const {
  with_float_type(yhat.dtype, [&]<typename T>() {
    const auto [R, H, N] = yhat.as<T, 3>().extents;
    const OutputGradients<T> rows{
        gradient<T>(dy),    gradient<T>(dr),     gradient<T>(dk),    gradient<T>(dv),
        gradient<T>(dgate), dout.pointer<T>(),   dyhat.pointer<T>(), yhat.pointer<T>(),
        scale.pointer<T>(), r.pointer<T>(),      k.pointer<T>(),     v.pointer<T>(),
        gate.pointer<T>(),  weight.pointer<T>(), bias.pointer<T>(),  bonus.pointer<T>()};
    sum_by_heads<3, T>(
        queue.threads, {R, H, N}, {dbonus.pointer<T>(), dweight.pointer<T>(), dbias.pointer<T>()},
        {dbonus.fresh, dweight.fresh, dbias.fresh},
        [&, H = H, N = N](auto& partial, HeadRange heads) {
          for (std::int64_t h = heads.first; h < heads.last; ++h) {
            const std::int64_t index = heads.row * H + h, sum = (h - heads.first) * N;
            bonus_backward(rows, index * N, h * N, N, partial[0] + sum);
            head_norm_backward(rows, index * N, h * N, N, rows.scale[index], partial[1] + sum,
                               partial[2] + sum);
          }
        });
  });
}

}  // namespace metascale
