#include "tests/kernels/optimizer_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("the first step of AdamW moves every parameter by its rate against the gradient") {
  Memory memory(GENERATE(Dtype::f32, Dtype::f64));
  const Tensor p = memory.random({3}), m = memory.random({3}), v = memory.random({3});
  const Tensor g = memory.random({3});
  assign(p, {1, 1, 1});
  assign(m, {0, 0, 0});
  assign(v, {0, 0, 0});
  assign(g, {4, -1e-3, 0});
  Queue queue;
  run(queue,
      AdamW{.parameters = p, .m = m, .v = v, .gradients = g, .rate = 0.25, .epsilon = 1e-12});
  const Values moved = values_of(p);
  CHECK(moved[0] == Approx(0.75).epsilon(1e-5));
  CHECK(moved[1] == Approx(1.25).epsilon(1e-5));
  CHECK(moved[2] == 1);
}

TEST_CASE("AdamW follows its formula with decay, scale and bias correction") {
  const std::int64_t time = GENERATE(1, 2, 1000);
  AdamWCase item(Dtype::f64, 101, time);
  const AdamW& op = item.forward;
  const Values p0 = values_of(op.parameters), m0 = values_of(op.m), v0 = values_of(op.v);
  const Values g0 = values_of(op.gradients);
  Queue queue;
  run(queue, op);
  const Values p = values_of(op.parameters), m = values_of(op.m), v = values_of(op.v);
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double g = 0.5 * g0[i], first = 0.9 * m0[i] + 0.1 * g;
    const double second = 0.95 * v0[i] + 0.05 * g * g;
    const double mean = first / (1 - std::pow(0.9, double(time)));
    const double root = std::sqrt(second / (1 - std::pow(0.95, double(time))));
    CHECK(m[i] == Approx(first).epsilon(1e-12));
    CHECK(v[i] == Approx(second).epsilon(1e-12));
    CHECK(p[i] == Approx(p0[i] - 0.01 * (mean / (root + 1e-8) + 0.1 * p0[i])).epsilon(1e-12));
  }
}

TEST_CASE("AdamW without gradient, moments and decay leaves parameters as they are") {
  AdamWCase item(Dtype::f32, 37, 5);
  for (const Tensor* tensor : {&item.forward.m, &item.forward.v, &item.forward.gradients})
    assign(*tensor, Values(37, 0.0));
  item.forward.weight_decay = 0;
  item.forward.epsilon = 1e-18;
  const Values before = values_of(item.forward.parameters);
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.parameters) == before);
}

TEST_CASE("AdamW in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<AdamWCase>(9001, 3);
  expect_same_bits_on_any_number_of_threads<AdamWCase>(9001, 3);
}

TEST_CASE("the sum of squares is taken in f64") {
  SumOfSquaresCase item(Dtype::f32, 10001);
  Queue queue;
  run(queue, item.forward);
  const Values x = values_of(item.forward.x);
  CHECK(values_of(item.forward.sum)[0] == Approx(dot(x, x)).epsilon(1e-12));
}

TEST_CASE("the sum of squares has the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<SumOfSquaresCase>(50001);
}

TEST_CASE("optimizer operators name the operand that is wrong") {
  Queue queue;
  AdamWCase item(Dtype::f32, 10, 1);
  AdamW op = item.forward;
  op.v.shape = {9};
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.v has shape (9) but must have (10): the shape of parameters");
  op = item.forward;
  op.time = 0;
  CHECK(message_of_error([&] { run(queue, op); }) ==
        "AdamW.time is 0 but must be at least 1: the first step is 1");
  op = item.forward;
  op.beta2 = 1;
  CHECK(message_of_error([&] { run(queue, op); }) == "AdamW.beta2 is 1 but must be in [0, 1)");
  SumOfSquaresCase sum(Dtype::f32, 5000);
  sum.forward.partials.shape = {1};
  CHECK(message_of_error([&] { run(queue, sum.forward); }) ==
        "SumOfSquares.partials has shape (1) but must have (2): one sum per block of x");
}

}  // namespace metascale
