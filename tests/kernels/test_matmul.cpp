#include "kernels/cpu/gemm.hpp"
#include "kernels/instructions.hpp"
#include "tests/kernels/matmul_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

// op(a) op(b) by its definition.
Values product_of(const Matmul& op) {
  const Values a = values_of(op.a), b = values_of(op.b);
  const std::int64_t M = op.c.shape[0], N = op.c.shape[1];
  const std::int64_t K = op.a.shape[op.transpose_a ? 0 : 1];
  Values c(std::size_t(M * N), 0.0);
  for (std::int64_t m = 0; m < M; ++m)
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t k = 0; k < K; ++k)
        c[std::size_t(m * N + n)] += a[std::size_t(op.transpose_a ? k * M + m : m * K + k)] *
                                     b[std::size_t(op.transpose_b ? n * K + k : k * N + n)];
  return c;
}

double largest_difference(const Values& a, const Values& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;  // NaN too
  }
  return largest;
}

double tolerance_of(Dtype dtype) { return dtype == Dtype::f64 ? 1e-12 : 1e-4; }

}  // namespace

TEST_CASE("a product is the sum over the inner extent, for every pair of transposes") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const MatmulSizes size = GENERATE(MatmulSizes{1, 1, 1}, MatmulSizes{7, 5, 3},
                                    MatmulSizes{65, 33, 70}, MatmulSizes{3, 130, 1});
  MatmulCase item(dtype, size, transpose_a, transpose_b);
  Queue queue;
  queue.cpu.threads = GENERATE(1, 2);
  run(queue, item.forward);
  CHECK(largest_difference(values_of(item.forward.c), product_of(item.forward)) <=
        tolerance_of(dtype));
}

TEST_CASE("a product has its bias added to every row") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  MatmulCase item(dtype, {4, 6, 5}, false, true), plain(dtype, {4, 6, 5}, false, true);
  item.forward.bias = item.memory.random({6});
  Queue queue;
  run(queue, item.forward);
  run(queue, plain.forward);
  const Values c = values_of(item.forward.c), without = values_of(plain.forward.c);
  const Values bias = values_of(item.forward.bias);
  for (std::size_t i = 0; i < c.size(); ++i)
    CHECK(c[i] == Approx(without[i] + bias[i % 6]).margin(1e-5));
}

TEST_CASE("a product adds to the gradient it finds") {
  const bool bf16 = GENERATE(false, true);
  Queue queue;
  const auto check = [&](Matmul op, double tolerance) {
    op.add = true;
    op.c.fresh = true;
    expect_adds_to_the_gradients_it_finds(queue, op, tolerance);
  };
  if (bf16) return check(Bf16MatmulCase({9, 21, 34}, true, false).forward, 1e-6);
  check(MatmulCase(Dtype::f64, {9, 21, 34}, true, false).forward, tolerance::f64);
  check(MatmulCase(Dtype::f32, {9, 21, 34}, true, false).forward, 1e-6);
}

TEST_CASE("a linear layer's gradients are two products and a column sum") {
  Memory memory(Dtype::f64);
  const std::int64_t M = 5, N = 4, K = 7;
  const Tensor x = memory.random({M, K}), weight = memory.random({N, K}), bias = memory.random({N});
  const Tensor y = memory.output({M, N}), dy = memory.random({M, N});
  const Tensor dx = memory.gradient({M, K}), dweight = memory.gradient({N, K});
  const Tensor dbias = memory.gradient({N});
  Queue queue;
  run(queue, Matmul{.c = dx, .a = dy, .b = weight, .add = true});
  run(queue, Matmul{.c = dweight, .a = dy, .b = x, .transpose_a = true, .add = true});
  run(queue, ColumnSum{.dbias = dbias, .dy = dy});
  const auto loss = [&] {
    run(queue, Matmul{.c = y, .a = x, .b = weight, .bias = bias, .transpose_b = true});
    return dot(values_of(y), values_of(dy));
  };
  expect_gradient("x", x, dx, loss);
  expect_gradient("weight", weight, dweight, loss);
  expect_gradient("bias", bias, dbias, loss);
}

TEST_CASE("a product in bf16 is the product of the rounded operands") {
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const MatmulSizes size =
      GENERATE(MatmulSizes{1, 3, 5}, MatmulSizes{65, 33, 70}, MatmulSizes{16, 64, 128});
  Bf16MatmulCase item(size, transpose_a, transpose_b);
  Queue queue;
  run(queue, item.forward);
  Matmul rounded = item.forward;
  for (Tensor* operand : {&rounded.a, &rounded.b}) {
    Tensor copy = item.memory.output(operand->shape, Dtype::bf16);
    assign(copy, values_of(*operand));
    *operand = copy;
  }
  CHECK(largest_difference(values_of(item.forward.c), product_of(rounded)) <= 1e-4);
  CHECK(largest_difference(values_of(item.forward.c), product_of(item.forward)) > 1e-4);
}

TEST_CASE("operands that are bf16 already need no scratch") {
  Bf16MatmulCase item({9, 6, 12}, false, true);
  Queue queue;
  run(queue, item.forward);
  Matmul direct = item.forward;
  direct.c = item.memory.output({9, 6});
  direct.scratch = {};
  for (Tensor* operand : {&direct.a, &direct.b}) {
    Tensor copy = item.memory.output(operand->shape, Dtype::bf16);
    assign(copy, values_of(*operand));
    *operand = copy;
  }
  CHECK(direct.scratch_elements() == 0);
  run(queue, direct);
  CHECK(same_bits(direct.c, item.forward.c));
}

TEST_CASE("products of bf16 operands are the same sums by either way of making them") {
  const bool transpose_a = GENERATE(false, true), transpose_b = GENERATE(false, true);
  const bool add = GENERATE(false, true);
  const std::int64_t M = 270, N = 530, K = 540;  // more than a tile each
  Memory memory(Dtype::bf16);
  const Tensor a = memory.random(transpose_a ? Shape{K, M} : Shape{M, K});
  const Tensor b = memory.random(transpose_b ? Shape{N, K} : Shape{K, N});
  const auto multiplied = [&](auto multiply_by, int threads) {
    const Tensor c = memory.output({M, N}, Dtype::f32);
    if (add) assign(c, Values(std::size_t(M * N), 3.0));
    multiply_by({.c = c.pointer<float>(),
                 .stride = N,
                 .M = M,
                 .N = N,
                 .K = K,
                 .a = {a.pointer<bfloat16>(), a.shape[1], transpose_a},
                 .b = {b.pointer<bfloat16>(), b.shape[1], transpose_b},
                 .add = add},
                threads);
    return c;
  };
  using Bf16 = const Product<bfloat16, float>&;
  const auto widen = [](Bf16 p, int threads) {
    CpuQueue queue{.threads = threads};
    multiply_widened(p, queue);
  };
  const Tensor widened = multiplied(widen, 1);
  CHECK(same_bits(widened, multiplied(widen, 2)));
  const Values left = values_of(a), right = values_of(b), sums = values_of(widened);
  for (std::int64_t m = 0; m < M; m += 67)  // the first and the last of a tile among them
    for (std::int64_t n = 0; n < N; n += 23) {
      double sum = add ? 3 : 0;
      for (std::int64_t k = 0; k < K; ++k)
        sum += left[std::size_t(transpose_a ? k * M + m : m * K + k)] *
               right[std::size_t(transpose_b ? n * K + k : k * N + n)];
      CHECK(sums[std::size_t(m * N + n)] == Approx(sum).margin(1e-4));
    }
  const std::string has = cpu_instructions();
  if (has.find("core_bf16") == has.npos && has.find("core_amx") == has.npos) return;
  const Tensor direct = multiplied([](Bf16 p, int threads) { multiply_bf16(p, threads); }, 1);
  CHECK(relative_distance(widened, direct) <= 1e-6);
}

TEST_CASE("a product of no inner extent is 0, or what was there") {
  const bool add = GENERATE(false, true);
  const auto expect_c = [&](const auto& multiply_into) {
    float c[6] = {1, 2, 3, 4, 5, 6};
    multiply_into(c);
    for (int i = 0; i < 6; ++i) CHECK(c[i] == (add ? float(i + 1) : 0.0f));
  };
  expect_c([&](float* c) {
    multiply(Product<float>{.c = c, .stride = 3, .M = 2, .N = 3, .add = add}, 1);
  });
  expect_c([&](float* c) {
    CpuQueue queue;
    multiply(Product<bfloat16, float>{.c = c, .stride = 3, .M = 2, .N = 3, .add = add}, queue);
  });
}

TEST_CASE("a product merges leading axes") {
  MatmulCase item(Dtype::f64, {6, 4, 5}, false, true), same(Dtype::f64, {6, 4, 5}, false, true);
  item.forward.a = item.forward.a.reshaped({2, 3, 5});
  item.forward.c = item.forward.c.reshaped({3, 2, 4});
  Queue queue;
  run(queue, item.forward);
  run(queue, same.forward);
  CHECK(values_of(item.forward.c) == values_of(same.forward.c));
}

TEST_CASE("column sums add the rows of every column") {
  ColumnSumCase item(Dtype::f64, 300, 5);
  Queue queue;
  run(queue, item.forward);
  const Values dy = values_of(item.forward.dy), sums = values_of(item.forward.dbias);
  for (std::size_t n = 0; n < 5; ++n) {
    double sum = 0;
    for (std::size_t m = 0; m < 300; ++m) sum += dy[m * 5 + n];
    CHECK(sums[n] == Approx(sum).margin(1e-12));
  }
}

TEST_CASE("column sums have the same bits on any number of threads, and are close in f32") {
  expect_same_bits_on_any_number_of_threads<ColumnSumCase>(513, 70);
  expect_f32_close_to_f64<ColumnSumCase>(513, 70);
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, ColumnSumCase(Dtype::f64, 513, 70).forward);
}

TEST_CASE("products name the operand that is wrong") {
  Queue queue;
  const auto message = [&](const Matmul& op) { return message_of_error([&] { run(queue, op); }); };
  MatmulCase item(Dtype::f32, {4, 6, 5}, false, true);
  Matmul op = item.forward;
  op.b.shape = {6, 7};
  CHECK(message(op) ==
        "Matmul.b has shape (6, 7) but must have 5 columns: the inner extent of a, whose shape is "
        "(4, 5)");
  op = item.forward;
  op.c.shape = {4, 5};
  CHECK(message(op) ==
        "Matmul.c has shape (4, 5) but must have (4, 6): rows of op(a) by columns of op(b)");
  op = item.forward;
  op.bias = item.memory.random({6});
  op.add = true;
  CHECK(message(op) ==
        "Matmul.bias was given together with add: add the bias in the product that assigns c");
  op = item.forward;
  op.bf16 = true;
  op.scratch = item.memory.output({49}, Dtype::bf16);
  CHECK(message(op) ==
        "Matmul.scratch has 49 elements but must have 50: the rounded copies of a and b "
        "(Matmul::scratch_elements)");
  ColumnSumCase sum(Dtype::f32, 3, 4);
  sum.forward.dbias.shape = {3};
  CHECK(message_of_error([&] { run(queue, sum.forward); }) ==
        "ColumnSum.dbias has shape (3) but must have (4): one sum per column of dy");
}

TEST_CASE("a product costs two operations per element of c and of the inner extent") {
  Queue plan{.device = Device::plan};
  run(plan, MatmulCase(Dtype::f32, {4, 6, 5}, false, true).forward);
  CHECK(plan.planned.flops == 2.0 * 4 * 6 * 5);
  CHECK(plan.planned.bytes == 4.0 * (4 * 6 + 4 * 5 + 6 * 5));
}

}  // namespace metascale
