// Matrix products on the CPU, row-major:   c (M, N) = op(a) op(b)  (+ c where add)
//   f32   oneDNN's sgemm        f64   Eigen        bf16 operands, f32 sums   oneDNN's matmul
//   primitive
// Rows may lie further apart than they are long. What c held is not read unless add is set. Inside
// a parallel region they run on the calling thread.
#pragma once

#include <cstdint>

#include "core/bfloat16.hpp"
#include "kernels/queue.hpp"

namespace metascale {

template <typename T>
struct Operand {
  const T* data = nullptr;
  std::int64_t stride = 0;  // elements from one stored row to the next
  bool transpose = false;   // the stored matrix is op()'s transpose
};

template <typename T, typename Sum = T>
struct Product {
  Sum* c = nullptr;
  std::int64_t stride = 0;  // of c's rows
  std::int64_t M = 0, N = 0, K = 0;
  Operand<T> a;  // (M, K), stored (K, M) where transpose
  Operand<T> b;  // (K, N), stored (N, K) where transpose
  bool add = false;
};

void multiply(const Product<float>& product, int threads);
void multiply(const Product<double>& product, int threads);

// By the faster of the next two [instructions.hpp: multiplies_bf16].
void multiply(const Product<bfloat16, float>& product, CpuQueue& queue);

// By the processor's own bf16 instructions. Throws where oneDNN knows none.
void multiply_bf16(const Product<bfloat16, float>& product, int threads);

// The same products, which f32 holds exactly, from sgemm upon widened operands, a tile at a time.
void multiply_widened(const Product<bfloat16, float>& product, CpuQueue& queue);

}  // namespace metascale
