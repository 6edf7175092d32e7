#include "tests/kernels/elementwise_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

struct Activation {
  const char* name;
  ActivationKind kind;
  double at_minus_2, at_1;  // correctly rounded values of the definition
};

const Activation activations[] = {
    {"relu_squared", ActivationKind::relu_squared, 0, 1},
    {"gelu_tanh", ActivationKind::gelu_tanh, -0.045402305912500, 0.841191990608276},
    {"gelu_erf", ActivationKind::gelu_erf, -0.045500263896358, 0.841344746068543},
    {"tanh", ActivationKind::tanh, -0.964027580075817, 0.761594155955765},
    {"sigmoid", ActivationKind::sigmoid, 0.119202922022118, 0.731058578630005}};

}  // namespace

TEST_CASE("activations have the values of their definitions") {
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  const Activation& activation = activations[GENERATE(0, 1, 2, 3, 4)];
  INFO(activation.name);
  ActivationCase item(dtype, {2}, activation.kind);
  assign(item.forward.x, {-2, 1});
  Queue queue;
  run(queue, item.forward);
  const double tolerance = dtype == Dtype::f64 ? 1e-14 : 1e-7;
  const Values y = values_of(item.forward.y);
  CHECK(y[0] == Approx(activation.at_minus_2).margin(tolerance));
  CHECK(y[1] == Approx(activation.at_1).margin(tolerance));
}

TEST_CASE("activations have the gradients of finite differences") {
  const Activation& activation = activations[GENERATE(0, 1, 2, 3, 4)];
  INFO(activation.name);
  ActivationCase item(Dtype::f64, {3, 17}, activation.kind);
  // The second derivative of relu_squared jumps at 0 (see Differences::step).
  const Differences how = activation.kind == ActivationKind::relu_squared
                              ? Differences{.step = 3e-6, .tolerance = 1e-6}
                              : Differences{};
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"x", item.forward.x, item.backward.dx}}, how);
}

TEST_CASE("activations in f32 are close to f64 and have the same bits on any number of threads") {
  const ActivationKind kind = activations[GENERATE(0, 1, 2, 3, 4)].kind;
  expect_f32_close_to_f64<ActivationCase>(Shape{3, 5001}, kind);
  expect_same_bits_on_any_number_of_threads<ActivationCase>(Shape{3, 5001}, kind);
}

TEST_CASE("activations of huge and infinite arguments are finite where their limits are") {
  const ActivationKind kind = GENERATE(ActivationKind::tanh, ActivationKind::sigmoid);
  ActivationCase item(Dtype::f32, {4}, kind);
  assign(item.forward.x, {-INFINITY, -200, 200, INFINITY});
  Queue queue;
  run(queue, item.forward);
  const double low = kind == ActivationKind::tanh ? -1 : 0;
  CHECK(values_of(item.forward.y) == Values{low, low, 1, 1});
}

TEST_CASE("GELU of huge arguments, and its slope, are their limits") {
  ActivationCase item(Dtype::f32, {4}, ActivationKind::gelu_tanh);
  assign(item.forward.x, {-1e15, -200, 200, 1e15});
  assign(item.backward.dy, {1, 1, 1, 1});
  item.backward.dx.fresh = true;
  Queue queue;
  run_case(queue, item);
  CHECK(values_of(item.forward.y) == Values{0, 0, 200, double(1e15f)});
  CHECK(values_of(item.backward.dx) == Values{0, 0, 1, 1});
}

TEST_CASE("swiglu is the gate's silu times up") {
  SwigluCase item(Dtype::f64, {2});
  assign(item.forward.gate, {0, 2});
  assign(item.forward.up, {5, 3});
  Queue queue;
  run(queue, item.forward);
  const Values y = values_of(item.forward.y);
  CHECK(y[0] == 0);
  CHECK(y[1] == Approx(2 * 0.880797077977882 * 3).epsilon(1e-13));
}

TEST_CASE("swiglu has the gradients of finite differences") {
  SwigluCase item(Dtype::f64, {3, 17});
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"gate", item.forward.gate, item.backward.dgate},
                                   {"up", item.forward.up, item.backward.dup}});
}

TEST_CASE("swiglu in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<SwigluCase>(Shape{3, 5001});
  expect_same_bits_on_any_number_of_threads<SwigluCase>(Shape{3, 5001});
}

TEST_CASE("a sum adds two or three summands") {
  AddCase item(Dtype::f32, {2}, GENERATE(2, 3));
  assign(item.forward.a, {1, 2});
  assign(item.forward.b, {10, 20});
  if (item.forward.c.exists()) assign(item.forward.c, {100, 200});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.y) == (item.forward.c.exists() ? Values{111, 222} : Values{11, 22}));
}

TEST_CASE("a sum has the gradients of finite differences") {
  AddCase item(Dtype::f64, {3, 17}, GENERATE(2, 3));
  for (const Tensor& summand : {item.forward.a, item.forward.b, item.forward.c})
    if (summand.exists())
      expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                      {{"a summand", summand, item.backward.dx}});
}

TEST_CASE("a sum may write where it reads") {
  AddCase item(Dtype::f32, {2}, 2);
  assign(item.forward.a, {1, 2});
  assign(item.forward.b, {10, 20});
  item.forward.y = item.forward.a;
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.y) == Values{11, 22});
}

TEST_CASE("elementwise operators add to the gradients they find") {
  Queue queue;
  for (const Activation& activation : activations)
    expect_adds_to_the_gradients_it_finds(
        queue, ActivationCase(Dtype::f64, {3, 17}, activation.kind).backward);
  expect_adds_to_the_gradients_it_finds(queue, SwigluCase(Dtype::f64, {3, 17}).backward);
  expect_adds_to_the_gradients_it_finds(queue, AddCase(Dtype::f64, {3, 17}, 2).backward);
}

TEST_CASE("fill assigns one value everywhere") {
  Memory memory(GENERATE(Dtype::f32, Dtype::f64));
  const Tensor x = memory.output({5000});
  Queue queue;
  queue.cpu.threads = 2;
  run(queue, Fill{.x = x, .value = 0.5});
  CHECK(values_of(x) == Values(5000, 0.5));
}

TEST_CASE("casts to bf16 round to nearest, ties to even") {
  Memory memory(Dtype::f32);
  const Tensor x = memory.random({4}), y = memory.output({4}, Dtype::bf16);
  assign(x, {1 + 1.0 / 256, 1 + 3.0 / 256, 1 + 1.0 / 256 + 1.0 / 4096, NAN});
  Queue queue;
  run(queue, Cast{.y = y, .x = x});
  const Values rounded = values_of(y);
  CHECK(rounded[0] == 1);              // a tie: down to the even 1
  CHECK(rounded[1] == 1 + 4.0 / 256);  // a tie: up to the even one
  CHECK(rounded[2] == 1 + 2.0 / 256);
  CHECK(std::isnan(rounded[3]));
}

TEST_CASE("casts between all float dtypes keep what both can hold") {
  const Dtype from = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  const Dtype to = GENERATE(Dtype::f32, Dtype::f64, Dtype::bf16);
  Memory memory(from);
  const Tensor x = memory.random({5}), y = memory.output({5}, to);
  const Values exact{0, -1.5, 0.0078125, 3, -256};
  assign(x, exact);
  Queue queue;
  run(queue, Cast{.y = y, .x = x});
  CHECK(values_of(y) == exact);
}

TEST_CASE("elementwise operators name the operand that is wrong") {
  Queue queue;
  ActivationCase item(Dtype::f32, {2, 3}, ActivationKind::tanh);
  item.forward.x.shape = {3, 2};
  CHECK(message_of_error([&] { run(queue, item.forward); }) ==
        "ActivationForward.x has shape (3, 2) but must have (2, 3): the shape of y");
  item.backward.dy.shape = {6};
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "ActivationBackward.dy has shape (6) but must have (2, 3): the shape of dx");
  SwigluCase swiglu(Dtype::f32, {2, 3});
  swiglu.forward.up.shape = {2, 2};
  CHECK(message_of_error([&] { run(queue, swiglu.forward); }) ==
        "SwigluForward.up has shape (2, 2) but must have (2, 3): the shape of y");
  swiglu.backward.dup.shape = {3};
  CHECK(message_of_error([&] { run(queue, swiglu.backward); }) ==
        "SwigluBackward.dup has shape (3) but must have (2, 3): the shape of dy");
  AddCase sum(Dtype::f32, {2, 3}, 3);
  sum.forward.c.shape = {6};
  CHECK(message_of_error([&] { run(queue, sum.forward); }) ==
        "AddForward.c has shape (6) but must have (2, 3): the shape of y");
  Accumulate accumulate = sum.backward;
  accumulate.dy.shape = {3, 2};
  CHECK(message_of_error([&] { run(queue, accumulate); }) ==
        "Accumulate.dy has shape (3, 2) but must have (2, 3): the shape of dx");
  sum.backward.dy.dtype = Dtype::f64;
  CHECK(message_of_error([&] { run(queue, sum.backward); }) ==
        "Accumulate.dy is f64 but must be f32 or bf16: Accumulate.dx is f32");
  const Tensor tokens = sum.memory.indices({3}, 9), numbers = sum.memory.output({3});
  CHECK(message_of_error([&] { run(queue, Cast{.y = numbers, .x = tokens}); }) ==
        "Cast.x is i32 but must be f32, f64 or bf16: tokens are not converted");
  CHECK(message_of_error([&] { run(queue, Cast{.y = numbers, .x = sum.forward.a}); }) ==
        "Cast.x has shape (2, 3) but must have (3): the shape of y");
}

}  // namespace metascale
