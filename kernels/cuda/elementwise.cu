// One thread per element, in the operands' type.
#include "kernels/elementwise.hpp"

#include <cmath>

#include "kernels/cuda/elements.cuh"

namespace metascale {
namespace {

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

template <typename T>
struct Activate {
  T* y;
  const T* x;
  ActivationKind kind;
  __device__ void operator()(std::int64_t i) const { y[i] = value(kind, x[i]); }
};

template <typename T>
struct ActivateBackward {
  T* dx;
  const T *dy, *x;
  ActivationKind kind;
  bool fresh;
  __device__ void operator()(std::int64_t i) const {
    accumulate(dx[i], dy[i] * slope(kind, x[i]), fresh);
  }
};

template <typename T>
struct Swiglu {
  T* y;
  const T *gate, *up;
  __device__ void operator()(std::int64_t i) const { y[i] = gate[i] * sigmoid(gate[i]) * up[i]; }
};

template <typename T>
struct SwigluGradients {
  T *dgate, *dup;
  const T *dy, *gate, *up;
  bool fresh_gate, fresh_up;
  __device__ void operator()(std::int64_t i) const {
    const T g = gate[i], s = sigmoid(g);
    accumulate(dgate[i], dy[i] * up[i] * s * (1 + g * (1 - s)), fresh_gate);
    accumulate(dup[i], dy[i] * g * s, fresh_up);
  }
};

template <typename T>
struct Sum {
  T* y;
  const T *a, *b, *c;  // c: may be nullptr
  __device__ void operator()(std::int64_t i) const {
    const T two = a[i] + b[i];
    y[i] = c ? two + c[i] : two;
  }
};

template <typename T>
struct AddTo {
  T* dx;
  const T* dy;
  bool fresh;
  __device__ void operator()(std::int64_t i) const { accumulate(dx[i], dy[i], fresh); }
};

template <typename T>
struct Set {
  T* x;
  T value;
  __device__ void operator()(std::int64_t i) const { x[i] = value; }
};

template <typename To, typename From>
struct Convert {
  To* y;
  const From* x;
  __device__ void operator()(std::int64_t i) const {
    if constexpr (std::is_same_v<To, From>)
      y[i] = x[i];
    else if constexpr (std::is_same_v<To, bfloat16> || std::is_same_v<From, bfloat16>)
      y[i] = To(float(x[i]));
    else
      y[i] = To(x[i]);
  }
};

template <typename Body>
void with_storage_type(Dtype dtype, Body&& body) {
  if (dtype == Dtype::bf16) return body.template operator()<bfloat16>();
  with_float_type(dtype, body);
}

}  // namespace

void ActivationForward::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    cuda::launch_elements("activation_forward", queue.stream, x.size(),
                          Activate<T>{y.pointer<T>(), x.pointer<T>(), kind});
  });
}

void ActivationBackward::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    cuda::launch_elements(
        "activation_backward", queue.stream, x.size(),
        ActivateBackward<T>{dx.pointer<T>(), dy.pointer<T>(), x.pointer<T>(), kind, dx.fresh});
  });
}

void SwigluForward::on(CudaQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    cuda::launch_elements("swiglu_forward", queue.stream, y.size(),
                          Swiglu<T>{y.pointer<T>(), gate.pointer<T>(), up.pointer<T>()});
  });
}

void SwigluBackward::on(CudaQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    cuda::launch_elements(
        "swiglu_backward", queue.stream, dy.size(),
        SwigluGradients<T>{dgate.pointer<T>(), dup.pointer<T>(), dy.pointer<T>(), gate.pointer<T>(),
                           up.pointer<T>(), dgate.fresh, dup.fresh});
  });
}

void AddForward::on(CudaQueue& queue) const {
  with_float_type(y.dtype, [&]<typename T>() {
    cuda::launch_elements("add_forward", queue.stream, y.size(),
                          Sum<T>{y.pointer<T>(), a.pointer<T>(), b.pointer<T>(), c.pointer<T>()});
  });
}

void Accumulate::on(CudaQueue& queue) const {
  with_float_type(dx.dtype, [&]<typename T>() {
    cuda::launch_elements("accumulate", queue.stream, dx.size(),
                          AddTo<T>{dx.pointer<T>(), dy.pointer<T>(), dx.fresh});
  });
}

void Fill::on(CudaQueue& queue) const {
  with_float_type(x.dtype, [&]<typename T>() {
    cuda::launch_elements("fill", queue.stream, x.size(), Set<T>{x.pointer<T>(), T(value)});
  });
}

void Cast::on(CudaQueue& queue) const {
  with_storage_type(y.dtype, [&]<typename To>() {
    with_storage_type(x.dtype, [&]<typename From>() {
      cuda::launch_elements("cast", queue.stream, x.size(),
                            Convert<To, From>{y.pointer<To>(), x.pointer<From>()});
    });
  });
}

}  // namespace metascale
