#include "kernels/elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cpu/blocks.hpp"
#include "kernels/cpu/convert.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/vector_math.hpp"

namespace metascale {
namespace {

template <typename T>
inline constexpr T gelu_slope = T(0.79788456080286535588);  // sqrt(2 / pi)
template <typename T>
inline constexpr T gelu_cubic = T(0.044715);
template <typename T>
inline constexpr T root_half = T(1 / std::numbers::sqrt2);
template <typename T>
inline constexpr T normal_density = T(0.39894228040143267794);  // 1 / sqrt(2 pi)

// (1 + tanh(u)) / 2 = sigmoid(2 u),  u = sqrt(2 / pi) (x + 0.044715 x^3)  [Hendrycks and Gimpel
// 2016]: one e^x and one division, where tanh would take its two ranges.
template <typename T>
[[gnu::always_inline]] inline T normal_share(T x) {
  return vector_sigmoid(2 * gelu_slope<T> * (x + gelu_cubic<T> * x * x * x));
}

template <ActivationKind kind, typename T>
[[gnu::always_inline]] inline T value(T x) {
  if constexpr (kind == ActivationKind::relu_squared) {
    const T positive = x > 0 ? x : T(0);
    return positive * positive;
  } else if constexpr (kind == ActivationKind::gelu_tanh) {
    return x * normal_share(x);
  } else if constexpr (kind == ActivationKind::gelu_erf) {
    return T(0.5) * x * (1 + vector_erf(x * root_half<T>));
  } else if constexpr (kind == ActivationKind::tanh) {
    return vector_tanh(x);
  } else {
    return vector_sigmoid(x);
  }
}

template <ActivationKind kind, typename T>
[[gnu::always_inline]] inline T slope(T x) {
  if constexpr (kind == ActivationKind::relu_squared) {
    return 2 * (x > 0 ? x : T(0));
  } else if constexpr (kind == ActivationKind::gelu_tanh) {
    const T s = normal_share(x);
    const T inner = 2 * gelu_slope<T> * (1 + 3 * gelu_cubic<T> * x * x);
    const T rest = s * (1 - s);
    return rest == 0 ? s : s + x * rest * inner;  // far out inner is beyond f32
  } else if constexpr (kind == ActivationKind::gelu_erf) {
    return T(0.5) * (1 + vector_erf(x * root_half<T>)) +
           x * normal_density<T> * vector_exp(T(-0.5) * x * x);
  } else if constexpr (kind == ActivationKind::tanh) {
    const T t = vector_tanh(x);
    return 1 - t * t;
  } else {
    const T s = vector_sigmoid(x);
    return s * (1 - s);
  }
}

template <ActivationKind kind, typename T>
METASCALE_MULTIVERSION void activate(T* __restrict y, const T* __restrict x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = value<kind>(x[i]);
}

template <ActivationKind kind, typename T>
METASCALE_MULTIVERSION void activate_backward(T* __restrict dx, const T* __restrict dy,
                                              const T* __restrict x, std::int64_t count,
                                              bool fresh) {
  if (fresh)
    for (std::int64_t i = 0; i < count; ++i) dx[i] = dy[i] * slope<kind>(x[i]);
  else
    for (std::int64_t i = 0; i < count; ++i) dx[i] += dy[i] * slope<kind>(x[i]);
}

// Calls body.operator()<kind>().
template <typename Body>
void with_kind(ActivationKind kind, Body&& body) {
  switch (kind) {
    case ActivationKind::relu_squared:
      return body.template operator()<ActivationKind::relu_squared>();
    case ActivationKind::gelu_tanh: return body.template operator()<ActivationKind::gelu_tanh>();
    case ActivationKind::gelu_erf: return body.template operator()<ActivationKind::gelu_erf>();
    case ActivationKind::tanh: return body.template operator()<ActivationKind::tanh>();
    case ActivationKind::sigmoid: return body.template operator()<ActivationKind::sigmoid>();
  }
}

template <typename T>
METASCALE_MULTIVERSION void swiglu(T* __restrict y, const T* __restrict gate,
                                   const T* __restrict up, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = gate[i] * vector_sigmoid(gate[i]) * up[i];
}

struct Fresh {
  bool gate, up;
};

template <bool fresh_gate, bool fresh_up, typename T>
[[gnu::always_inline]] inline void swiglu_loop(T* __restrict dgate, T* __restrict dup,
                                               const T* __restrict dy, const T* __restrict gate,
                                               const T* __restrict up, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const T s = vector_sigmoid(gate[i]);
    accumulate(dgate[i], dy[i] * up[i] * s * (1 + gate[i] * (1 - s)), fresh_gate);
    accumulate(dup[i], dy[i] * gate[i] * s, fresh_up);
  }
}

template <typename T>
METASCALE_MULTIVERSION void swiglu_backward(T* __restrict dgate, T* __restrict dup,
                                            const T* __restrict dy, const T* __restrict gate,
                                            const T* __restrict up, std::int64_t count,
                                            Fresh fresh) {
  if (fresh.gate && fresh.up)
    swiglu_loop<true, true>(dgate, dup, dy, gate, up, count);
  else if (fresh.gate)
    swiglu_loop<true, false>(dgate, dup, dy, gate, up, count);
  else if (fresh.up)
    swiglu_loop<false, true>(dgate, dup, dy, gate, up, count);
  else
    swiglu_loop<false, false>(dgate, dup, dy, gate, up, count);
}

template <typename T>
METASCALE_MULTIVERSION void sum_of_two(T* y, const T* a, const T* b, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

template <typename T>
METASCALE_MULTIVERSION void sum_of_three(T* y, const T* a, const T* b, const T* c,
                                         std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i] + c[i];
}

}  // namespace

void ActivationForward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    with_kind(kind, [&]<ActivationKind chosen>() {
      for_blocks(queue.threads, x.size(), [&](std::int64_t begin, std::int64_t end) {
        activate<chosen>(y.pointer<T>() + begin, x.pointer<T>() + begin, end - begin);
      });
    });
  });
}

void ActivationBackward::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    with_kind(kind, [&]<ActivationKind chosen>() {
      for_blocks(queue.threads, x.size(), [&](std::int64_t begin, std::int64_t end) {
        activate_backward<chosen>(dx.pointer<T>() + begin, dy.pointer<T>() + begin,
                                  x.pointer<T>() + begin, end - begin, dx.fresh);
      });
    });
  });
}

void SwigluForward::on(CpuQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    for_blocks(queue.threads, y.size(), [&](std::int64_t begin, std::int64_t end) {
      swiglu(y.pointer<T>() + begin, gate.pointer<T>() + begin, up.pointer<T>() + begin,
             end - begin);
    });
  });
}

void SwigluBackward::on(CpuQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    for_blocks(queue.threads, dy.size(), [&](std::int64_t begin, std::int64_t end) {
      swiglu_backward(dgate.pointer<T>() + begin, dup.pointer<T>() + begin, dy.pointer<T>() + begin,
                      gate.pointer<T>() + begin, up.pointer<T>() + begin, end - begin,
                      {dgate.fresh, dup.fresh});
    });
  });
}

void AddForward::on(CpuQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    for_blocks(queue.threads, y.size(), [&](std::int64_t begin, std::int64_t end) {
      const T *first = a.pointer<T>() + begin, *second = b.pointer<T>() + begin;
      if (c.exists())
        sum_of_three(y.pointer<T>() + begin, first, second, c.pointer<T>() + begin, end - begin);
      else
        sum_of_two(y.pointer<T>() + begin, first, second, end - begin);
    });
  });
}

void Accumulate::on(CpuQueue& queue) const {
  with_float_type(dx.dtype, [&]<typename T>() {
    for_blocks(queue.threads, dx.size(), [&](std::int64_t begin, std::int64_t end) {
      T* to = dx.pointer<T>() + begin;
      const T* from = dy.pointer<T>() + begin;
      if (dx.fresh)
        std::copy_n(from, end - begin, to);
      else
        sum_of_two(to, to, from, end - begin);
    });
  });
}

void Fill::on(CpuQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    for_blocks(queue.threads, x.size(), [&](std::int64_t begin, std::int64_t end) {
      std::fill_n(x.pointer<T>() + begin, end - begin, T(value));
    });
  });
}

namespace {

template <typename To>
void cast_to(const Tensor& y, const Tensor& x, int threads) {
  const auto from = [&]<typename From>() {
    if constexpr (std::is_same_v<To, From>)
      for_blocks(threads, x.size(), [&](std::int64_t begin, std::int64_t end) {
        std::copy_n(x.pointer<From>() + begin, end - begin, y.pointer<To>() + begin);
      });
    else
      convert(y.pointer<To>(), x.pointer<From>(), x.size(), threads);
  };
  switch (x.dtype) {
    case Dtype::f32: return from.template operator()<float>();
    case Dtype::f64: return from.template operator()<double>();
    case Dtype::bf16: return from.template operator()<bfloat16>();
    case Dtype::i32: break;
  }
}

}  // namespace

void Cast::on(CpuQueue& queue) const {
  if (rounding.stochastic)
    return round_to_bf16(y.pointer<bfloat16>(), x.pointer<float>(), x.size(), rounding,
                         queue.threads);
  switch (y.dtype) {
    case Dtype::f32: return cast_to<float>(y, x, queue.threads);
    case Dtype::f64: return cast_to<double>(y, x, queue.threads);
    case Dtype::bf16: return cast_to<bfloat16>(y, x, queue.threads);
    case Dtype::i32: break;  // refused by check()
  }
}

}  // namespace metascale
