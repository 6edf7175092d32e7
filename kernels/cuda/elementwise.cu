// One thread per element.
#include "kernels/elementwise.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale {
namespace {

using cuda::add_to;
using cuda::stored;

template <typename T>
inline constexpr T gelu_slope = T(0.79788456080286535588);  // sqrt(2 / pi)
template <typename T>
inline constexpr T gelu_cubic = T(0.044715);
template <typename T>
inline constexpr T root_half = T(0.70710678118654752440);  // 1 / sqrt(2)
template <typename T>
inline constexpr T normal_density = T(0.39894228040143267794);  // 1 / sqrt(2 pi)

template <typename T>
__device__ T sigmoid(T x) {
  return 1 / (1 + std::exp(-x));
}

template <typename T>
__device__ T value(ActivationKind kind, T x) {
  switch (kind) {
    case ActivationKind::relu_squared: return x > 0 ? x * x : T(0);
    case ActivationKind::gelu_tanh:
      return T(0.5) * x * (1 + std::tanh(gelu_slope<T> * (x + gelu_cubic<T> * x * x * x)));
    case ActivationKind::gelu_erf: return T(0.5) * x * (1 + std::erf(x * root_half<T>));
    case ActivationKind::tanh: return std::tanh(x);
    case ActivationKind::sigmoid: return sigmoid(x);
  }
  return x;
}

template <typename T>
__device__ T slope(ActivationKind kind, T x) {
  switch (kind) {
    case ActivationKind::relu_squared: return x > 0 ? 2 * x : T(0);
    case ActivationKind::gelu_tanh: {
      const T t = std::tanh(gelu_slope<T> * (x + gelu_cubic<T> * x * x * x));
      const T inner = gelu_slope<T> * (1 + 3 * gelu_cubic<T> * x * x);
      return T(0.5) * (1 + t) + T(0.5) * x * (1 - t * t) * inner;
    }
    case ActivationKind::gelu_erf:
      return T(0.5) * (1 + std::erf(x * root_half<T>)) +
             x * normal_density<T> * std::exp(T(-0.5) * x * x);
    case ActivationKind::tanh: {
      const T t = std::tanh(x);
      return 1 - t * t;
    }
    case ActivationKind::sigmoid: {
      const T s = sigmoid(x);
      return s * (1 - s);
    }
  }
  return x;
}

template <typename S, typename T>
struct Activate {
  S* y;
  const S* x;
  ActivationKind kind;
  __device__ void operator()(std::int64_t i) const { y[i] = stored<S>(value(kind, T(x[i]))); }
};

template <typename S, typename T>
struct ActivateBackward {
  S* dx;
  const S *dy, *x;
  ActivationKind kind;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    add_to(dx[i], T(dy[i]) * slope(kind, T(x[i])), fresh);
  }
};

template <typename S, typename T>
struct Swiglu {
  S* y;
  const S *gate, *up;
  __device__ void operator()(std::int64_t i) const {
    const T g = gate[i];
    y[i] = stored<S>(g * sigmoid(g) * T(up[i]));
  }
};

template <typename S, typename T>
struct SwigluGradients {
  S *dgate, *dup;
  const S *dy, *gate, *up;
  bool fresh_gate, fresh_up;
  __device__ void operator()(std::int64_t i) const {
    const T above = dy[i], g = gate[i], s = sigmoid(g);
    add_to(dgate[i], above * T(up[i]) * s * (1 + g * (1 - s)), fresh_gate);
    add_to(dup[i], above * g * s, fresh_up);
  }
};

template <typename S, typename T>
struct Sum {
  S* y;
  const S *a, *b, *c;  // c: may be nullptr
  __device__ void operator()(std::int64_t i) const {
    const T two = T(a[i]) + T(b[i]);
    y[i] = stored<S>(c ? two + T(c[i]) : two);
  }
};

template <typename S, typename T>
struct AddTo {
  S* dx;
  const S* dy;
  bool fresh;
  __device__ void operator()(std::int64_t i) const { add_to(dx[i], T(dy[i]), fresh); }
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
    cuda::launch_elements("activation_forward", queue.stream, x.size(),
                          Activate<S, T>{y.pointer<S>(), x.pointer<S>(), kind});
  });
}

void ActivationBackward::on(CudaQueue& queue) const {
  cuda::with_storage(x.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "activation_backward", queue.stream, x.size(),
        ActivateBackward<S, T>{dx.pointer<S>(), dy.pointer<S>(), x.pointer<S>(), kind, dx.fresh});
  });
}

void SwigluForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("swiglu_forward", queue.stream, y.size(),
                          Swiglu<S, T>{y.pointer<S>(), gate.pointer<S>(), up.pointer<S>()});
  });
}

void SwigluBackward::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "swiglu_backward", queue.stream, dy.size(),
        SwigluGradients<S, T>{dgate.pointer<S>(), dup.pointer<S>(), dy.pointer<S>(),
                              gate.pointer<S>(), up.pointer<S>(), dgate.fresh, dup.fresh});
  });
}

void AddForward::on(CudaQueue& queue) const {
  cuda::with_storage(y.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements(
        "add_forward", queue.stream, y.size(),
        Sum<S, T>{y.pointer<S>(), a.pointer<S>(), b.pointer<S>(), c.pointer<S>()});
  });
}

void Accumulate::on(CudaQueue& queue) const {
  cuda::with_storage(dx.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("accumulate", queue.stream, dx.size(),
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
