// Operands of products in bf16: as they are stored, or rounded first into an operator's scratch.
#pragma once

#include "kernels/cuda/elements.cuh"
#include "kernels/cuda/storage.cuh"

namespace metascale::cuda {

template <typename To, typename From>
struct Round {
  To* y;
  const From* x;
  __device__ void operator()(std::int64_t i) const { y[i] = stored<To>(x[i]); }
};

inline void round_to_bf16(bfloat16* y, const float* x, std::int64_t count, CUstream_st* stream) {
  launch_elements("round_to_bf16", stream, count, Round<bfloat16, float>{y, x});
}

// The operand in bf16: itself, or a copy at `free`, which then moves behind the copy.
inline const bfloat16* rounded(const Tensor& operand, bfloat16*& free, CUstream_st* stream) {
  if (operand.dtype == Dtype::bf16) return operand.pointer<bfloat16>();
  bfloat16* copy = free;
  round_to_bf16(copy, operand.pointer<float>(), operand.size(), stream);
  free += operand.size();
  return copy;
}

}  // namespace metascale::cuda
