// How activations are stored, S, and what kernels compute in, T: f32 and f64 in themselves, bf16 in
// f32. Vectors of parameters, their gradients, statistics of rows and states are stored in T. A
// number is rounded once, to nearest even, when it is stored.
#pragma once

#include <cuda_bf16.h>

#include "core/tensor.hpp"
#include "kernels/rounding.hpp"

namespace metascale::cuda {

// Calls body.operator()<S, T>() for activations of this dtype.
template <typename Body>
decltype(auto) with_storage(Dtype activations, Body&& body) {
  switch (activations) {
    case Dtype::f32: return body.template operator()<float, float>();
    case Dtype::f64: return body.template operator()<double, double>();
    case Dtype::bf16: return body.template operator()<bfloat16, float>();
    case Dtype::i32: break;
  }
  throw Error(concat("a CUDA operator was given activations of ", name_of(activations),
                     ", but they are stored in f32, bf16 or f64"));
}

template <typename S, typename T>
__device__ S stored(T value) {
  if constexpr (std::is_same_v<S, bfloat16>) {
    const __nv_bfloat16_raw raw = __float2bfloat16_rn(float(value));
    S result;
    result.bits = raw.x;
    return result;
  } else {
    return S(value);
  }
}

// Element `index` of a tensor in bf16, to nearest or stochastically.
__device__ inline bfloat16 to_bf16(float value, std::int64_t index, const Rounding& rounding) {
  return rounding.stochastic ? rounding(value, index) : stored<bfloat16>(value);
}

// How a kernel stores a gradient: assigned where the tensor is fresh, else added to what is there.
template <typename S, typename T>
__device__ void add_to(S& target, T value, bool fresh) {
  target = stored<S>(fresh ? value : T(target) + value);
}

// What may be stored in S or in T, whichever its tensor says; nothing, where the operand was left
// out.
template <typename S, typename T>
struct EitherOf {
  const S* narrow = nullptr;
  const T* wide = nullptr;

  explicit EitherOf(const Tensor& tensor) {
    if (tensor.exists() && tensor.dtype == dtype_of<T>)
      wide = tensor.pointer<const T>();
    else
      narrow = tensor.pointer<const S>();
  }
  __device__ bool exists() const { return wide || narrow; }
  __device__ T operator[](std::int64_t i) const { return wide ? wide[i] : T(narrow[i]); }
};

}  // namespace metascale::cuda
