// Products are cuBLASLt's [gemm.hpp]. The bias of a bf16 result is rounded to bf16 first, as the
// weights are: the library adds no other; the sum with it is still rounded once.
#include "kernels/matmul.hpp"

#include "kernels/checks.hpp"
#include "kernels/cuda/column_sum.cuh"
#include "kernels/cuda/context.hpp"
#include "kernels/cuda/rounded.cuh"

namespace metascale {
namespace {

// c_mn = bias_n
template <typename S, typename T>
struct RepeatRow {
  S* c;
  const T* bias;
  std::int64_t N;
  __device__ void operator()(std::int64_t i) const { c[i] = cuda::stored<S>(bias[i % N]); }
};

template <typename S, typename T>
struct Columns {
  const S* dy;
  std::int64_t N;
  template <int Width>
  __device__ std::array<cuda::Numbers<T, Width>, 1> at(std::int64_t m, std::int64_t n) const {
    return {cuda::read<T, Width>(dy + m * N + n)};
  }
};

// Shapes and options; the operands' addresses are the caller's.
cuda::Gemm gemm_of(const Matmul& op) {
  const Shape a = merged(op.a.shape, 2), b = merged(op.b.shape, 2);
  cuda::Gemm gemm;
  gemm.c = op.c.data;
  gemm.M = a[op.transpose_a ? 1 : 0];
  gemm.K = a[op.transpose_a ? 0 : 1];
  gemm.N = b[op.transpose_b ? 0 : 1];
  gemm.stride = gemm.N;
  gemm.a = {.data = op.a.data, .stride = a[1], .transpose = op.transpose_a};
  gemm.b = {.data = op.b.data, .stride = b[1], .transpose = op.transpose_b};
  gemm.operand_dtype = op.bf16 ? Dtype::bf16 : op.a.dtype;
  gemm.result_dtype = op.c.dtype;
  gemm.add = op.add && !op.c.fresh;
  return gemm;
}

// The library's product with bias, or c = bias and a product that adds where it has none: in f64.
void add_bias(const Matmul& op, cuda::Gemm& gemm, CudaQueue& queue) {
  if (gemm.result_dtype == Dtype::f32) {
    gemm.bias = op.bias.data;
  } else if (gemm.result_dtype == Dtype::bf16) {
    auto* copy = reinterpret_cast<bfloat16*>(cuda::context_of(queue).rounded_bias(gemm.N));
    gemm.bias = cuda::rounded(op.bias, copy, queue.stream);
  } else {
    cuda::launch_elements(
        "matmul_bias", queue.stream, op.c.size(),
        RepeatRow<double, double>{op.c.pointer<double>(), op.bias.pointer<double>(), gemm.N});
    gemm.add = true;
  }
}

// A sum of nothing: the bias, or 0, or what c holds.
void multiply_nothing(const Matmul& op, const cuda::Gemm& gemm, CudaQueue& queue) {
  if (gemm.add) return;
  if (!op.bias.exists())
    return cuda::clear(static_cast<std::byte*>(op.c.data), op.c.bytes(), queue.stream);
  cuda::with_storage(op.c.dtype, [&]<typename S, typename T>() {
    cuda::launch_elements("matmul_bias", queue.stream, op.c.size(),
                          RepeatRow<S, T>{op.c.pointer<S>(), op.bias.pointer<T>(), gemm.N});
  });
}

}  // namespace

void Matmul::on(CudaQueue& queue) const {
  cuda::Gemm gemm = gemm_of(*this);
  if (gemm.M == 0 || gemm.N == 0) return;
  if (gemm.K == 0) return multiply_nothing(*this, gemm, queue);
  if (!bf16) expect_dtype("Matmul.b", b, a.dtype, "the dtype of a, without bf16");
  if (bf16) {
    bfloat16* free = scratch.pointer<bfloat16>();
    gemm.a.data = cuda::rounded(a, free, queue.stream);
    gemm.b.data = cuda::rounded(b, free, queue.stream);
  }
  if (bias.exists()) add_bias(*this, gemm, queue);
  cuda::context_of(queue).gemms().multiply(gemm, queue.stream);
}

void ColumnSum::on(CudaQueue& queue) const {
  cuda::with_storage(dy.dtype, [&]<typename S, typename T>() {
    const auto [M, N] = dy.as<S, 2>().extents;
    cuda::launch_column_sums<T, 1>("column_sum", queue, {{dbias.pointer<T>()}, {dbias.fresh}}, M, N,
                                   cuda::has_packed_rows(N, dy), Columns<S, T>{dy.pointer<S>(), N});
  });
}

}  // namespace metascale
