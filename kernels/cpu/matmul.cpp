#include "kernels/matmul.hpp"

#include "core/parallel.hpp"
#include "kernels/checks.hpp"
#include "kernels/cpu/columns.hpp"
#include "kernels/cpu/convert.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/cpu/gemm.hpp"

namespace metascale {
namespace {

template <typename T>
void repeat_row(const Tensor& c, const Tensor& row, int threads) {
  const auto [M, N] = c.as<T, 2>().extents;
  T* to = c.pointer<T>();
  const T* from = row.pointer<T>();
  parallel_for(threads, M, [&, N = N](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m) std::copy_n(from, N, to + m * N);
  });
}

// What every dtype shares; a.data and b.data are the caller's.
template <typename T, typename Sum>
Product<T, Sum> product_of(const Matmul& op) {
  const Shape a = merged(op.a.shape, 2), b = merged(op.b.shape, 2);
  Product<T, Sum> product;
  product.c = op.c.pointer<Sum>();
  product.M = a[op.transpose_a ? 1 : 0];
  product.K = a[op.transpose_a ? 0 : 1];
  product.N = b[op.transpose_b ? 0 : 1];
  product.stride = product.N;
  product.a = {.stride = a[1], .transpose = op.transpose_a};
  product.b = {.stride = b[1], .transpose = op.transpose_b};
  product.add = op.bias.exists() || (op.add && !op.c.fresh);
  return product;
}

void multiply_rounded(const Matmul& op, CpuQueue& queue) {
  Product<bfloat16, float> product = product_of<bfloat16, float>(op);
  bfloat16* free = op.scratch.pointer<bfloat16>();
  product.a.data = rounded(op.a, free, queue.threads);
  product.b.data = rounded(op.b, free, queue.threads);
  multiply(product, queue);
}

template <typename T>
METASCALE_MULTIVERSION void sum_rows(T (*__restrict partial)[column_block], Range rows,
                                     Range columns, const T* __restrict dy, std::int64_t N) {
  const std::int64_t width = columns.last - columns.first;
  for (std::int64_t r = rows.first; r < rows.last; ++r)
    for (std::int64_t i = 0; i < width; ++i) partial[0][i] += dy[r * N + columns.first + i];
}

}  // namespace

void Matmul::on(CpuQueue& queue) const {
  with_float_type(c.dtype, [&]<typename T>() {
    if (bias.exists()) repeat_row<T>(c, bias, queue.threads);
    if (bf16) return multiply_rounded(*this, queue);
    Product<T> product = product_of<T, T>(*this);
    product.a.data = a.pointer<T>();
    product.b.data = b.pointer<T>();
    multiply(product, queue.threads);
  });
}

void ColumnSum::on(CpuQueue& queue) const {
  with_float_type(dy.dtype, [&]<typename T>() {
    const auto [M, N] = dy.as<T, 2>().extents;
    const T* from = dy.pointer<T>();
    sum_columns<1, T>(queue.threads, M, N, {dbias.pointer<T>()}, {dbias.fresh},
                      [&, N = N](auto partial, Range rows, Range columns) {
                        sum_rows(partial, rows, columns, from, N);
                      });
  });
}

}  // namespace metascale
