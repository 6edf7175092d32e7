#include "tests/kernels/self_state_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

TEST_CASE("a query is its channel block at length one") {
  const SelfStateQueryCase item(Dtype::f64, 3, 2, 5, 4);  // heads 0, 2, 4 read block 0
  Queue queue;
  run(queue, item.forward);
  const Values q = values_of(item.forward.q), c = values_of(item.forward.c);
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t h = 0; h < 5; ++h) {
      double squares = 0;
      for (std::size_t n = 0; n < 4; ++n) {
        const double value = c[(r * 2 + h % 2) * 4 + n];
        squares += value * value;
      }
      for (std::size_t n = 0; n < 4; ++n)
        CHECK(q[(r * 5 + h) * 4 + n] ==
              Approx(c[(r * 2 + h % 2) * 4 + n] / std::sqrt(squares + 1e-6)));
    }
}

TEST_CASE("a block of zeros gives a query of zero") {
  const SelfStateQueryCase item(Dtype::f32, 1, 1, 1, 8);
  assign(item.forward.c, Values(8, 0.0));
  Queue queue;
  run_case(queue, item);
  CHECK(norm(values_of(item.forward.q)) == 0);
  CHECK(values_of(item.forward.inverse_norm)[0] == Approx(1000).epsilon(1e-6));
  CHECK(std::isfinite(norm(values_of(item.backward.dc))));
}

TEST_CASE("queries have the gradients of finite differences") {
  const std::int64_t heads = GENERATE(1, 2, 5);  // fewer, as many and more than blocks
  const SelfStateQueryCase item(Dtype::f64, 3, 2, heads, 5);
  expect_gradients_of_differences(item, {{item.forward.q, item.backward.dq}},
                                  {{"c", item.forward.c, item.backward.dc}});
}

TEST_CASE("blocks that no head reads receive no gradient") {
  const SelfStateQueryCase item(Dtype::f64, 2, 3, 1, 4);
  Queue queue;
  run_case(queue, item);
  const Values dc = values_of(item.backward.dc);
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t i = 0; i < 12; ++i) CHECK((dc[r * 12 + i] == 0) == (i >= 4));
}

TEST_CASE("heads are added to the blocks that they share") {
  const SelfStateMixCase item(Dtype::f64, 1, 2, 4, 3, 1);
  assign(item.forward.c, {10, 20});
  assign(item.forward.e, {1, 2, 3, 1000});
  assign(item.forward.gamma, {0.5, 1, 2});
  Queue queue;
  run(queue, item.forward);
  CHECK(values_of(item.forward.z) == Values{10 + 0.5 * 1 + 2 * 3, 20 + 1 * 2});
}

TEST_CASE("heads beyond those that are read receive a gradient of zero") {
  const SelfStateMixCase item(Dtype::f64, 2, 2, 4, 3, 5);
  Queue queue;
  run_case(queue, item);
  const Values de = values_of(item.backward.de);
  for (std::size_t r = 0; r < 2; ++r)
    for (std::size_t i = 0; i < 20; ++i) CHECK((de[r * 20 + i] == 0) == (i >= 15));
}

TEST_CASE("the self-state mix has the gradients of finite differences") {
  const std::int64_t read = GENERATE(1, 3, 5);
  const SelfStateMixCase item(Dtype::f64, 3, 3, 5, read, 7);
  expect_gradients_of_differences(item, {{item.forward.z, item.backward.dz}},
                                  {{"c", item.forward.c, item.backward.dc},
                                   {"e", item.forward.e, item.backward.de},
                                   {"gamma", item.forward.gamma, item.backward.dgamma}});
}

TEST_CASE("the self-state encoder agrees in f32 and f64") {
  expect_f32_close_to_f64<SelfStateQueryCase>(50, 2, 3, 64);
  expect_f32_close_to_f64<SelfStateMixCase>(300, 2, 4, 3, 24);
}

TEST_CASE("the self-state encoder is the same bits on any number of threads") {
  expect_same_bits_on_any_number_of_threads<SelfStateQueryCase>(7, 2, 3, 16);
  expect_same_bits_on_any_number_of_threads<SelfStateMixCase>(300, 2, 4, 3, 24);
}

TEST_CASE("the self-state encoder adds to the gradients it finds") {
  const SelfStateQueryCase query(Dtype::f64, 4, 2, 3, 5);
  const SelfStateMixCase mix(Dtype::f64, 4, 2, 4, 3, 5);
  Queue queue;
  run(queue, query.forward);
  expect_adds_to_the_gradients_it_finds(queue, query.backward);
  expect_adds_to_the_gradients_it_finds(queue, mix.backward);
}

TEST_CASE("the self-state encoder names the operand that does not fit") {
  Queue queue;
  SelfStateQueryCase query(Dtype::f32, 3, 2, 2, 4);
  SelfStateMixCase mix(Dtype::f32, 3, 2, 2, 2, 4);
  const auto refusal = [&](const auto& op) { return message_of_error([&] { run(queue, op); }); };

  SelfStateQueryForward query_forward = query.forward;
  query_forward.c = query.memory.random({3, 10});
  CHECK(refusal(query_forward) ==
        "SelfStateQueryForward.c has 10 channels, which are no whole number of blocks of N = 4: "
        "take a width that N divides");
  query_forward.c = query.memory.random({2, 8});
  CHECK(refusal(query_forward) ==
        "SelfStateQueryForward.c has shape (2, 8) but must have 3 rows: as many as "
        "SelfStateQueryForward.q");
  SelfStateQueryBackward query_backward = query.backward;
  query_backward.dq = query.memory.random({3, 2, 5});
  CHECK(refusal(query_backward) ==
        "SelfStateQueryBackward.dq has shape (3, 2, 5) but must have (3, 2, 4): the shape of q");
  SelfStateMixForward mix_forward = mix.forward;
  mix_forward.gamma = mix.memory.random({3, 4});
  CHECK(refusal(mix_forward) ==
        "SelfStateMixForward.gamma has shape (3, 4) but must have (2, 4): (H_s, N), for not more "
        "heads than e has");
  SelfStateMixBackward mix_backward = mix.backward;
  mix_backward.dgamma = mix.memory.gradient({1, 4});
  CHECK(refusal(mix_backward) ==
        "SelfStateMixBackward.dgamma has shape (1, 4) but must have (2, 4): the shape of gamma");
}

}  // namespace
}  // namespace metascale
