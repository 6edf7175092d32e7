#define EIGEN_DONT_PARALLELIZE  // parallel_for shares out the rows: its threads are the queue's

#include "kernels/cpu/gemm.hpp"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <Eigen/Core>
#include <algorithm>
#include <oneapi/dnnl/dnnl.hpp>
#include <utility>

#include "core/error.hpp"
#include "core/parallel.hpp"
#include "kernels/cpu/dispatch.hpp"
#include "kernels/instructions.hpp"

namespace metascale {
namespace {

// oneDNN takes its number of threads from OpenMP.
class ThreadsOfScope {
 public:
  explicit ThreadsOfScope(int threads) : before_(omp_get_max_threads()) {
    if (threads != before_) omp_set_num_threads(threads);
  }
  ~ThreadsOfScope() { omp_set_num_threads(before_); }
  ThreadsOfScope(const ThreadsOfScope&) = delete;
  ThreadsOfScope& operator=(const ThreadsOfScope&) = delete;

 private:
  int before_;
};

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Rows = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using ConstRows = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

ConstRows stored(const Operand<double>& operand, std::int64_t rows, std::int64_t columns) {
  return operand.transpose
             ? ConstRows(operand.data, columns, rows, Eigen::OuterStride<>(operand.stride))
             : ConstRows(operand.data, rows, columns, Eigen::OuterStride<>(operand.stride));
}

void add_product(Rows c, const ConstRows& a, const ConstRows& b, const Product<double>& product) {
  if (product.a.transpose && product.b.transpose)
    c.noalias() += a.transpose() * b.transpose();
  else if (product.a.transpose)
    c.noalias() += a.transpose() * b;
  else if (product.b.transpose)
    c.noalias() += a * b.transpose();
  else
    c.noalias() += a * b;
}

// Where there is no inner extent, c is what it is defined to be: oneDNN's products leave it alone.
template <typename T>
bool is_empty(const Product<T, float>& product) {
  if (product.K > 0) return false;
  for (std::int64_t m = 0; m < product.M && !product.add; ++m)
    std::fill_n(product.c + m * product.stride, product.N, 0.0f);
  return true;
}

using Dims = dnnl::memory::dims;

dnnl::memory::desc description(const Operand<bfloat16>& operand, std::int64_t rows,
                               std::int64_t columns) {
  return {{rows, columns},
          dnnl::memory::data_type::bf16,
          operand.transpose ? Dims{1, operand.stride} : Dims{operand.stride, 1}};
}

// Of the widened product's steps.
constexpr std::int64_t tile_rows = 256, tile_columns = 512, tile_depth = 512;
constexpr std::int64_t tile_floats = (tile_rows + tile_columns) * tile_depth;  // 1.5 MiB

METASCALE_MULTIVERSION void widen_row(float* __restrict to, const bfloat16* __restrict from,
                                      std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = float(from[i]);
}

// `rows` x `columns` of op(operand) from (row, column) on, widened into `to` as they are stored.
Operand<float> widened(float* to, const Operand<bfloat16>& operand, std::int64_t row,
                       std::int64_t column, std::int64_t rows, std::int64_t columns) {
  if (operand.transpose) std::swap(row, column), std::swap(rows, columns);
  for (std::int64_t i = 0; i < rows; ++i)
    widen_row(to + i * columns, operand.data + (row + i) * operand.stride + column, columns);
  return {to, columns, operand.transpose};
}

// room: tile_floats
void multiply_tile(const Product<bfloat16, float>& product, std::int64_t row, std::int64_t column,
                   float* room) {
  float *const a = room, *const b = room + tile_rows * tile_depth;
  const std::int64_t M = std::min(tile_rows, product.M - row);
  const std::int64_t N = std::min(tile_columns, product.N - column);
  for (std::int64_t k = 0; k < product.K; k += tile_depth) {
    const std::int64_t K = std::min(tile_depth, product.K - k);
    multiply(Product<float>{.c = product.c + row * product.stride + column,
                            .stride = product.stride,
                            .M = M,
                            .N = N,
                            .K = K,
                            .a = widened(a, product.a, row, k, M, K),
                            .b = widened(b, product.b, k, column, K, N),
                            .add = product.add || k > 0},
             1);
  }
}

}  // namespace

void multiply(const Product<float>& product, int threads) {
  if (is_empty(product)) return;
  const ThreadsOfScope scope(threads);
  const dnnl_status_t status =
      dnnl_sgemm(product.a.transpose ? 'T' : 'N', product.b.transpose ? 'T' : 'N', product.M,
                 product.N, product.K, 1.0f, product.a.data, product.a.stride, product.b.data,
                 product.b.stride, product.add ? 1.0f : 0.0f, product.c, product.stride);
  if (status != dnnl_success)
    throw Error(concat("oneDNN refused an f32 product with M = ", product.M, ", N = ", product.N,
                       ", K = ", product.K, " (status ", int(status), ")"));
}

void multiply(const Product<double>& product, int threads) {
  parallel_for(threads, product.M, [&](std::int64_t begin, std::int64_t end) {
    Product<double> part = product;
    part.M = end - begin;
    part.a.data += begin * (product.a.transpose ? 1 : product.a.stride);
    part.c += begin * product.stride;
    Rows c(part.c, part.M, part.N, Eigen::OuterStride<>(part.stride));
    if (!product.add) c.setZero();
    add_product(c, stored(part.a, part.M, part.K), stored(part.b, part.K, part.N), part);
  });
}

void multiply(const Product<bfloat16, float>& product, CpuQueue& queue) {
  if (is_empty(product)) return;
  if (multiplies_bf16())
    multiply_bf16(product, queue.threads);
  else
    multiply_widened(product, queue);
}

void multiply_bf16(const Product<bfloat16, float>& product, int threads) {
  const ThreadsOfScope scope(threads);
  // oneDNN keeps the compiled primitives itself, by shape, strides and threads, for all threads of
  // the program: finding one again takes 3 us, so no second cache is kept here.
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const dnnl::memory::desc a = description(product.a, product.M, product.K),
                           b = description(product.b, product.K, product.N),
                           c({product.M, product.N}, dnnl::memory::data_type::f32,
                             Dims{product.stride, 1});
  dnnl::primitive_attr attributes;
  if (product.add) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::primitive_desc description({a, b, c}, attributes, engine,
                                                 /*allow_empty=*/true);
  if (!description)
    throw Error(concat("oneDNN refused a bf16 product with M = ", product.M, ", N = ", product.N,
                       ", K = ", product.K));
  dnnl::stream stream(engine);
  const auto memory = [&](const dnnl::memory::desc& of, const void* data) {
    return dnnl::memory(of, engine, const_cast<void*>(data));
  };
  dnnl::matmul(description)
      .execute(stream, {{DNNL_ARG_SRC, memory(a, product.a.data)},
                        {DNNL_ARG_WEIGHTS, memory(b, product.b.data)},
                        {DNNL_ARG_DST, memory(c, product.c)}});
  stream.wait();
}

void multiply_widened(const Product<bfloat16, float>& product, CpuQueue& queue) {
  const std::int64_t rows = (product.M + tile_rows - 1) / tile_rows;
  const std::int64_t columns = (product.N + tile_columns - 1) / tile_columns;
  const std::size_t bytes = std::size_t(queue.threads) * tile_floats * sizeof(float);
  auto* rooms = reinterpret_cast<float*>(queue.memory().take(KeptMemory::product_slot, bytes));
  parallel_parts(queue.threads, rows * columns,
                 [&](int part, std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     multiply_tile(product, i / columns * tile_rows, i % columns * tile_columns,
                                   rooms + part * tile_floats);
                 });
}

}  // namespace metascale
