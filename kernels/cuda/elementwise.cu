// One thread per eight elements; per element where one has no say in a step's time.
#include "kernels/elementwise.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/exponential.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::numbers;
using cuda::read;
using cuda::store;
using cuda::stored;

template <typename T>
inline constexpr T gelu_slope = T(0.79788456080286535588);  // sqrt(2 / pi)
template <typename T>
inline constexpr T gelu_cubic = T(0.044715);
template <typename T>
inline constexpr T root_half = T(0.70710678118654752440);  // 1 / sqrt(2)
template <typename T>
inline constexpr T normal_density = T(0.39894228040143267794);  // 1 / sqrt(2 pi)

// (1 + tanh(u)) / 2 = sigmoid(2 u),  u = sqrt(2 / pi) (x + 0.044715 x^3)  [Hendrycks and Gimpel
// 2016]: one e^x, where tanh would take its two ranges.
template <typename S, typename T>
__device__ T normal_share(T x) {
  return cuda::sigmoid<S>(2 * gelu_slope<T> * (x + gelu_cubic<T> * x * x * x));
}

template <ActivationKind kind, typename S, typename T>
__device__ T value(T x) {
  if constexpr (kind == ActivationKind::relu_squared) {
    return x > 0 ? x * x : T(0);
  } else if constexpr (kind == ActivationKind::gelu_tanh) {
    return x * normal_share<S>(x);
  } else if constexpr (kind == ActivationKind::gelu_erf) {
    return T(0.5) * x * (1 + std::erf(x * root_half<T>));
  } else if constexpr (kind == ActivationKind::tanh) {
    return std::tanh(x);
  } else {
    return cuda::sigmoid<S>(x);
  }
}

template <ActivationKind kind, typename S, typename T>
__device__ T slope(T x) {
  if constexpr (kind == ActivationKind::relu_squared) {
    return x > 0 ? 2 * x : T(0);
  } else if constexpr (kind == ActivationKind::gelu_tanh) {
    const T s = normal_share<S>(x);
    const T inner = 2 * gelu_slope<T> * (1 + 3 * gelu_cubic<T> * x * x);
    const T rest = s * (1 - s);
    return rest == 0 ? s : s + x * rest * inner;  // far out inner is beyond f32
  } else if constexpr (kind == ActivationKind::gelu_erf) {
    return T(0.5) * (1 + std::erf(x * root_half<T>)) +
           x * normal_density<T> * std::exp(T(-0.5) * x * x);
  } else if constexpr (kind == ActivationKind::tanh) {
    const T t = std::tanh(x);
    return 1 - t * t;
  } else {
    const T s = cuda::sigmoid<S>(x);
    return s * (1 - s);
  }
}

// Calls body.operator()<kind>(): the choice is made once per pack.
template <typename Body>
__device__ void with_kind(ActivationKind kind, Body&& body) {
  switch (kind) {
    case ActivationKind::relu_squared:
      return body.template operator()<ActivationKind::relu_squared>();
    case ActivationKind::gelu_tanh: return body.template operator()<ActivationKind::gelu_tanh>();
    case ActivationKind::gelu_erf: return body.template operator()<ActivationKind::gelu_erf>();
    case ActivationKind::tanh: return body.template operator()<ActivationKind::tanh>();
    case ActivationKind::sigmoid: return body.template operator()<ActivationKind::sigmoid>();
  }
}

template <typename S, typename T>
struct Activate {
  S* y;
  const S* x;
  ActivationKind kind;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto from = read<T, Width>(x + i);
    with_kind(kind, [&]<ActivationKind of>() {
      store(y + i, numbers<Width>([&](int w) { return value<of, S>(from[w]); }));
    });
  }
};

template <typename S, typename T>
struct ActivateBackward {
  S* dx;
  const S *dy, *x;
  ActivationKind kind;
  bool fresh;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto above = read<T, Width>(dy + i), from = read<T, Width>(x + i);
    with_kind(kind, [&]<ActivationKind of>() {
      add_to(dx + i, numbers<Width>([&](int w) { return above[w] * slope<of, S>(from[w]); }),
             fresh);
    });
  }
};

template <typename S, typename T>
struct Swiglu {
  S* y;
  const S *gate, *up;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto g = read<T, Width>(gate + i), u = read<T, Width>(up + i);
    store(y + i, numbers<Width>([&](int w) { return g[w] * cuda::sigmoid<S>(g[w]) * u[w]; }));
  }
};

template <typename S, typename T>
struct SwigluGradients {
  S *dgate, *dup;
  const S *dy, *gate, *up;
  bool fresh_gate, fresh_up;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto above = read<T, Width>(dy + i), g = read<T, Width>(gate + i);
    const auto u = read<T, Width>(up + i);
    const auto s = numbers<Width>([&](int w) { return cuda::sigmoid<S>(g[w]); });
    add_to(dgate + i,
           numbers<Width>([&](int w) { return above[w] * u[w] * s[w] * (1 + g[w] * (1 - s[w])); }),
           fresh_gate);
    add_to(dup + i, numbers<Width>([&](int w) { return above[w] * g[w] * s[w]; }), fresh_up);
  }
};

template <typename S, typename T>
struct Sum {
  S* y;
  const S *a, *b, *c;  // c: may be nullptr
  template <int Width>
  __device__ void at(std::int64_t i) const {
    const auto first = read<T, Width>(a + i), second = read<T, Width>(b + i);
    auto sum = numbers<Width>([&](int w) { return first[w] + second[w]; });
    if (c) {
      const auto third = read<T, Width>(c + i);
      sum = numbers<Width>([&](int w) { return sum[w] + third[w]; });
    }
    store(y + i, sum);
  }
};

template <typename S, typename T>
struct AddTo {
  S* dx;
  const S* dy;
  bool fresh;
  template <int Width>
  __device__ void at(std::int64_t i) const {
    add_to(dx + i, read<T, Width>(dy + i), fresh);
  }
};

template <typename S>
struct Set {
  S* x;
  S value;
  __device__ void operator()(std::int64_t i) const { x[i] = value; }
};

template <typename To, typename From>
struct Convert {
  To* y;
  const From* x;
  Rounding rounding;
  __device__ void operator()(std::int64_t i) const {
    if constexpr (std::is_same_v<To, bfloat16> && std::is_same_v<From, float>)
      y[i] = cuda::to_bf16(x[i], i, rounding);
    else if constexpr (std::is_same_v<To, From>)
      y[i] = x[i];
    else if constexpr (std::is_same_v<From, bfloat16>)
      y[i] = To(float(x[i]));
    else
      y[i] = stored<To>(x[i]);
  }
};

}  // namespace

void ActivationForward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("activation_forward", queue.stream, x.size(), cuda::are_aligned(x, y),
                       Activate<S, T>{y.pointer<S>(), x.pointer<S>(), kind});
  });
}

void ActivationBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs(
        "activation_backward", queue.stream, x.size(), cuda::are_aligned(x, dx, dy),
        ActivateBackward<S, T>{dx.pointer<S>(), dy.pointer<S>(), x.pointer<S>(), kind, dx.fresh});
  });
}

void SwigluForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("swiglu_forward", queue.stream, y.size(), cuda::are_aligned(y, gate, up),
                       Swiglu<S, T>{y.pointer<S>(), gate.pointer<S>(), up.pointer<S>()});
  });
}

void SwigluBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs(
        "swiglu_backward", queue.stream, dy.size(), cuda::are_aligned(dy, gate, up, dgate, dup),
        SwigluGradients<S, T>{dgate.pointer<S>(), dup.pointer<S>(), dy.pointer<S>(),
                              gate.pointer<S>(), up.pointer<S>(), dgate.fresh, dup.fresh});
  });
}

void AddForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("add_forward", queue.stream, y.size(), cuda::are_aligned(y, a, b, c),
                       Sum<S, T>{y.pointer<S>(), a.pointer<S>(), b.pointer<S>(), c.pointer<S>()});
  });
}

void Accumulate::on(CudaQueue& queue) const {
  cuda::with_storage(dx.dtype, [&]<typename S, typename T>() {
    cuda::launch_packs("accumulate", queue.stream, dx.size(), cuda::are_aligned(dx, dy),
                       AddTo<S, T>{dx.pointer<S>(), dy.pointer<S>(), dx.fresh});
  });
}

void Fill::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("fill", queue.stream, x.size(), Set<S>{x.pointer<S>(), S(T(value))});
  });
}

void Cast::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename To, typename>() {
    cuda::with_storage(x.dtype, [&]<typename From, typename>() {
      cuda::launch_elements("cast", queue.stream, x.size(),
                            Convert<To, From>{y.pointer<To>(), x.pointer<From>(), rounding});
    });
  });
}

}  // namespace metascale
