// Matrix products on the GPU against the CPU, whose own tests are in test_matmul.cpp. Sizes are
// odd: no row of bf16 is then aligned to more than 2 bytes.
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/matmul_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

// Products of bf16: both sides round the operands alike and sum in f32.
constexpr double bf16_operands = tolerance::f32;
// A result stored in bf16: two neighbours, and the bias that the GPU rounds first.
constexpr double bf16_result = 1.0 / 128;

void expect_both_close(const Matmul& op, Tensor other, double tolerance) {
  Matmul on_cuda = op;
  on_cuda.c = other;
  run_on(Device::cpu, op);
  run_on(Device::cuda, on_cuda);
  expect_close(outputs_of(on_cuda), outputs_of(op), tolerance);
}

// y = x W^T + bias with activations and weight in bf16, and its two gradients.
struct Bf16Linear {
  Memory memory{Dtype::bf16};
  Tensor x, weight, dy;
  std::int64_t M, N, K;

  explicit Bf16Linear(MatmulSizes size) : M(size.M), N(size.N), K(size.K) {
    x = memory.random({M, K});
    weight = memory.random({N, K});
    dy = memory.random({M, N});
  }
};

}  // namespace

TEST_CASE("products on the GPU are close to the CPU, for every pair of transposes") {
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const MatmulSizes size = GENERATE(MatmulSizes{1, 1, 1}, MatmulSizes{7, 5, 3},
                                    MatmulSizes{33, 17, 41}, MatmulSizes{3, 64, 32});
  expect_cuda_close_to_cpu<MatmulCase>(size, transpose_a, transpose_b);
}

TEST_CASE("products on the GPU add their bias") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  MatmulCase item(dtype, {9, 21, 13}, false, true);
  item.forward.bias = item.memory.random({21});
  expect_both_close(item.forward, item.memory.output({9, 21}),
                    dtype == Dtype::f64 ? tolerance::f64 : tolerance::f32);
}

TEST_CASE("products on the GPU add to the gradient they find, and assign a fresh one") {
  const bool fresh = GENERATE(false, true);
  MatmulCase item(Dtype::f64, {9, 21, 13}, true, false);
  item.forward.add = true;
  item.forward.c.fresh = fresh;
  Tensor other = item.memory.output({9, 21});
  other.fresh = fresh;
  if (!fresh)
    assign(item.forward.c, random_values(9 * 21, 5)), assign(other, random_values(9 * 21, 5));
  expect_both_close(item.forward, other, tolerance::f64);
}

TEST_CASE("products on the GPU round f32 operands to bf16 where that is asked") {
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  Bf16MatmulCase item({17, 9, 35}, transpose_a, transpose_b);
  expect_both_close(item.forward, item.memory.output({17, 9}), bf16_operands);
}

TEST_CASE("a linear layer in bf16 on the GPU is close to the CPU") {
  const MatmulSizes size = GENERATE(MatmulSizes{9, 7, 5}, MatmulSizes{16, 24, 32});
  Bf16Linear layer(size);
  Memory& memory = layer.memory;
  const Shape y{layer.M, layer.N};
  Matmul op{
      .c = memory.output(y), .a = layer.x, .b = layer.weight, .transpose_b = true, .bf16 = true};
  expect_both_close(op, memory.output(y), bf16_result);
  op.bias = memory.output({layer.N}, Dtype::f32);
  assign(op.bias, random_values(layer.N, 6));
  expect_both_close(op, memory.output(y), bf16_result);
}

TEST_CASE(
    "the gradients of a linear layer in bf16 are close to the CPU: that of the weight is f32") {
  const bool fresh = GENERATE(false, true);
  Bf16Linear layer({9, 7, 5});
  Memory& memory = layer.memory;
  const auto gradient = [&](Shape shape, Dtype dtype) {
    Tensor result = memory.output(shape, dtype);
    result.fresh = fresh;
    if (!fresh) assign(result, random_values(result.size(), 5));
    return result;
  };
  const Shape x{9, 5}, weight{7, 5};
  const Matmul dx{
      .c = gradient(x, Dtype::bf16), .a = layer.dy, .b = layer.weight, .add = true, .bf16 = true};
  expect_both_close(dx, gradient(x, Dtype::bf16), bf16_result);
  const Matmul dweight{.c = gradient(weight, Dtype::f32),
                       .a = layer.dy,
                       .b = layer.x,
                       .transpose_a = true,
                       .add = true,
                       .bf16 = true};
  expect_both_close(dweight, gradient(weight, Dtype::f32), bf16_operands);
}

TEST_CASE("a product on the GPU of no inner extent is its bias, or 0, or what was there") {
  MatmulCase item(Dtype::f64, {3, 2, 0}, false, true);
  run_on(Device::cuda, item.forward);
  CHECK(values_of(item.forward.c) == Values(6, 0.0));
  item.forward.bias = item.memory.random({2});
  run_on(Device::cuda, item.forward);
  const Values bias = values_of(item.forward.bias);
  CHECK(values_of(item.forward.c) == Values{bias[0], bias[1], bias[0], bias[1], bias[0], bias[1]});
  const Values before = values_of(item.forward.c);
  item.forward.bias = {};
  item.forward.add = true;
  run_on(Device::cuda, item.forward);
  CHECK(values_of(item.forward.c) == before);
}

TEST_CASE("a product of no rows on the GPU is nothing") {
  CHECK_NOTHROW(run_on(Device::cuda, MatmulCase(Dtype::f32, {0, 2, 3}, false, true).forward));
}

TEST_CASE("products on the GPU have the same bits on every run") {
  constexpr MatmulSizes sizes{33, 17, 41};
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    expect_same_bits_of([&] { return MatmulCase(dtype, sizes, false, true); });
  expect_same_bits_of([&] { return Bf16MatmulCase(sizes, false, true); });
  const std::int64_t inner = GENERATE(0, 41);  // 0: the bias alone
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16})
    expect_same_bits_of([&] {
      MatmulCase item(dtype, {3, 300, inner}, false, true);
      item.forward.bf16 = dtype == Dtype::bf16;
      item.forward.bias = item.memory.parameter({300});
      return item;
    });
}

TEST_CASE(
    "column sums on the GPU are close to the CPU, add to what they find, and have the same bits") {
  expect_cuda_close_to_cpu<ColumnSumCase>(131, 19);
  expect_same_bits_on_every_run<ColumnSumCase>(131, 19);
  expect_cuda_close_to_cpu<ColumnSumCase>(700, 264);  // packs, groups of rows
  expect_same_bits_on_every_run<ColumnSumCase>(700, 264);
  ColumnSumCase on_cpu(Dtype::f64, 70, 9), on_cuda(Dtype::f64, 70, 9);
  for (ColumnSumCase* item : {&on_cpu, &on_cuda}) {
    assign(item->forward.dbias, random_values(9, 4));
    item->forward.dbias.fresh = false;
  }
  run_on(Device::cpu, on_cpu.forward);
  run_on(Device::cuda, on_cuda.forward);
  expect_close(outputs_of(on_cuda.forward), outputs_of(on_cpu.forward), tolerance::f64);
}

TEST_CASE("column sums on the GPU of rows in bf16 are f32") {
  Memory memory(Dtype::bf16);
  const Tensor dy = memory.random({131, 19});
  ColumnSum on_cpu{.dbias = memory.output({19}, Dtype::f32), .dy = dy}, on_cuda = on_cpu;
  on_cuda.dbias = memory.output({19}, Dtype::f32);
  on_cpu.dbias.fresh = on_cuda.dbias.fresh = true;
  run_on(Device::cpu, on_cpu);
  run_on(Device::cuda, on_cuda);
  expect_close(outputs_of(on_cuda), outputs_of(on_cpu), tolerance::f32);
}

TEST_CASE("a product on the GPU without a context says where to get one") {
  MatmulCase item(Dtype::f32, {2, 2, 2}, false, true);
  CudaQueue queue;
  CHECK_THROWS_WITH(item.forward.on(queue), Catch::StartsWith("CudaQueue.context is missing"));
}

}  // namespace metascale
