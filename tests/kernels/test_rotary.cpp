#include "tests/kernels/rotary_cases.hpp"

namespace metascale {

using namespace testing;

TEST_CASE("rotary turns the pairs by the angle of their token and frequency") {
  RotaryCase item(Dtype::f64, {1, 200, 1, 6}, 4);
  Queue queue;
  run(queue, item.forward);
  const Values x = values_of(item.forward.x), y = values_of(item.forward.y);
  for (const std::size_t t : {0u, 1u, 63u, 64u, 199u})
    for (std::size_t j = 0; j < 2; ++j) {
      const double angle = (3 + double(t)) * std::pow(10000.0, -2.0 * double(j) / 4);
      const double low = x[t * 6 + j], high = x[t * 6 + j + 2];
      CHECK(y[t * 6 + j] == Approx(low * std::cos(angle) - high * std::sin(angle)).margin(1e-12));
      CHECK(y[t * 6 + j + 2] ==
            Approx(high * std::cos(angle) + low * std::sin(angle)).margin(1e-12));
    }
}

TEST_CASE("rotary passes the other channels through") {
  RotaryCase item(Dtype::f32, {2, 3, 2, 7}, 4);
  Queue queue;
  run(queue, item.forward);
  const Values x = values_of(item.forward.x), y = values_of(item.forward.y);
  for (std::size_t row = 0; row < 12; ++row)
    for (std::size_t n = 4; n < 7; ++n) CHECK(y[row * 7 + n] == x[row * 7 + n]);
}

TEST_CASE("products of turned vectors depend on their distance only") {
  Memory memory(Dtype::f64);
  const Values q = random_values(8, 1), k = random_values(8, 2);
  const auto product = [&](std::int64_t position_of_q, std::int64_t position_of_k) {
    Queue queue;
    const auto turned = [&](const Values& x, std::int64_t position) {
      const Tensor from = memory.random({1, 1, 1, 8}), to = memory.output({1, 1, 1, 8});
      assign(from, x);
      run(queue, RotaryForward{.y = to, .x = from, .rotated = 8, .first_position = position});
      return values_of(to);
    };
    return dot(turned(q, position_of_q), turned(k, position_of_k));
  };
  CHECK(product(7, 4) == Approx(product(103, 100)).epsilon(1e-12));
  CHECK(product(7, 4) != Approx(product(7, 5)).epsilon(1e-3));
}

TEST_CASE("rotary has the gradients of finite differences") {
  const std::int64_t rotated = GENERATE(0, 6, 10);
  RotaryCase item(Dtype::f64, {2, 5, 3, 10}, rotated);
  expect_gradients_of_differences(item, {{item.forward.y, item.backward.dy}},
                                  {{"x", item.forward.x, item.backward.dx}});
}

TEST_CASE("split heads takes q, k and v of a head from one another's side") {
  SplitHeadsCase item(Dtype::f32, {1, 1, 2, 2});
  assign(item.forward.qkv, {0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.q) == Values{0, 1, 100, 101});
  CHECK(values_of(item.forward.k) == Values{10, 11, 110, 111});
  CHECK(values_of(item.forward.v) == Values{20, 21, 120, 121});
}

TEST_CASE("split heads has the gradients of finite differences") {
  SplitHeadsCase item(Dtype::f64, {2, 3, 2, 5});
  expect_gradients_of_differences(item,
                                  {{item.forward.q, item.backward.dq},
                                   {item.forward.k, item.backward.dk},
                                   {item.forward.v, item.backward.dv}},
                                  {{"qkv", item.forward.qkv, item.backward.dqkv}});
}

TEST_CASE("rotary and split heads add to the gradients they find") {
  Queue queue;
  expect_adds_to_the_gradients_it_finds(queue, RotaryCase(Dtype::f64, {2, 5, 3, 10}, 6).backward);
  expect_adds_to_the_gradients_it_finds(queue, SplitHeadsCase(Dtype::f64, {2, 3, 2, 5}).backward);
}

TEST_CASE("rotary in f32 is close to f64 and has the same bits on any number of threads") {
  expect_f32_close_to_f64<RotaryCase>(Shape{2, 150, 3, 70}, 70);
  expect_same_bits_on_any_number_of_threads<RotaryCase>(Shape{2, 150, 3, 70}, 66);
  expect_same_bits_on_any_number_of_threads<SplitHeadsCase>(Shape{2, 15, 3, 7});
}

TEST_CASE("rotary names the operand that is wrong") {
  Queue queue;
  RotaryCase item(Dtype::f32, {2, 5, 3, 10}, 6);
  RotaryForward forward = item.forward;
  forward.rotated = 7;
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "RotaryForward.rotated is 7 but must be even and at most 10: channels of a head are turned "
        "in pairs");
  forward = item.forward;
  forward.y.shape = {2, 5, 30};
  CHECK(message_of_error([&] { run(queue, forward); }) ==
        "RotaryForward.y has shape (2, 5, 30) but must have (2, 5, 3, 10): the shape of x");
  item.backward.dx.shape = {2, 5, 30};
  CHECK(message_of_error([&] { run(queue, item.backward); }) ==
        "RotaryBackward.dx has shape (2, 5, 30) but must have (2, 5, 3, 10): the shape of dy");
  SplitHeadsCase split(Dtype::f32, {2, 3, 2, 5});
  split.forward.qkv.shape = {2, 3, 20};
  CHECK(message_of_error([&] { run(queue, split.forward); }) ==
        "SplitHeadsForward.qkv has shape (2, 3, 20) but must have (2, 3, 30): q, k and v of every "
        "head side by side");
  split.backward.dk.shape = {2, 3, 10};
  CHECK(message_of_error([&] { run(queue, split.backward); }) ==
        "SplitHeadsBackward.dk has shape (2, 3, 10) but must have (2, 3, 2, 5): the shape of dq");
}

}  // namespace metascale
